"""One module for each promise or pair of promises; its docstring tells what is measured."""
