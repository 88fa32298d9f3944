"""One module for each kind of reference page; all of them are pure."""
