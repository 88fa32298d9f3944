"""``lodge completion``: scripts for shells; they ask ``lodge`` itself what may come next."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lodge.cli.errors import UsageError
from lodge.cli.parser import Command

if TYPE_CHECKING:
    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS", "SCRIPTS"]

SCRIPTS = {
    "bash": """\
# lodge: completion for bash.  Use it with:  source <(lodge completion bash)
_lodge() {
    local IFS=$'\\n' line=${COMP_LINE:0:COMP_POINT} word
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=($(lodge completion --answer "${words[@]}" 2>/dev/null))
    [[ ${COMPREPLY[0]} == *:/ ]] && compopt -o nospace
    # bash cuts words at ":"; only what follows the last one is to be replaced.
    word=${COMP_WORDS[COMP_CWORD]}
    [[ $word == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
}
complete -o default -F _lodge lodge
""",
    "zsh": """\
#compdef lodge
# lodge: completion for zsh.  Use it with:  source <(lodge completion zsh)
_lodge() {
    local -a found
    found=("${(@f)$(lodge completion --answer "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then compadd -Q -- $found; else _files; fi
}
compdef _lodge lodge
""",
    "fish": """\
# lodge: completion for fish.  Use it with:  lodge completion fish | source
function __lodge_candidates
    set -l words (commandline -opc) (commandline -ct)
    lodge completion --answer $words[2..-1] 2>/dev/null
end
complete -c lodge -f -a '(__lodge_candidates)'
complete -c lodge -n 'test (count (__lodge_candidates)) -eq 0' -F
""",
}


def _add(parser: Parser) -> None:
    parser.add_argument("shell", nargs="?", choices=sorted(SCRIPTS), help="which shell")
    parser.add_argument("--answer", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def _run(invocation: Invocation, args: argparse.Namespace) -> int:
    if args.answer is not None:
        from lodge.cli.candidates import candidates

        found = candidates(args.answer, invocation.environment)
        if found:
            invocation.say("\n".join(found))
        return 0
    if args.shell is None:
        raise UsageError("for which shell?", hint="lodge completion bash   (or zsh, fish)")
    invocation.say(SCRIPTS[args.shell].rstrip())
    return 0


COMMANDS = (
    Command(
        "completion",
        "Print a completion script for a shell",
        _add,
        _run,
        (
            "source <(lodge completion bash)",
            "lodge completion bash > /etc/bash_completion.d/lodge",
            "lodge completion fish | source",
        ),
    ),
)
