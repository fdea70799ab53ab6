"""The command line: what `python run.py` understands."""

import argparse
import math

from protocols.frontend import FrameRefused, parse_session_id

DESCRIPTION = "EVAA, the backend of a voice agent that interviews people about the automation they need."

SIMULATE = "play Groq and Deepgram in this process: no key is needed"
AUDIO = "play these recordings (WebM or Ogg with Opus, or 16-bit mono WAVE) in real time in place of what you type"
NOW = "running sessions get them too, where they have a stage of the same stageId and have not reached it"

MAX_AT_ONCE = 64


def parse_arguments(arguments: list[str] | None, settings_help: str) -> argparse.Namespace:
    """Parse the command line. Without a command it is `serve`. Ends the process for `--help` and for mistakes."""
    parser = argparse.ArgumentParser(
        prog="run.py",
        description=DESCRIPTION,
        epilog=f"settings, from the environment or .env:\n{settings_help}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--simulate", action="store_true", help=SIMULATE)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the server (the default)")
    serve.add_argument("--simulate", action="store_true", default=argparse.SUPPRESS, help=SIMULATE)

    talk = commands.add_parser("talk", help="be interviewed in this terminal")
    talk.add_argument("--url", help="the server (default: ws://EVAA_HOST:EVAA_PORT/ws)")
    talk.add_argument("--session", help="resume this session: 24 hexadecimal digits (default: a new one)")
    talk.add_argument("--audio", metavar="FILE", nargs="+", action="extend", default=[], help=AUDIO)

    health = commands.add_parser("health", help="tell by the exit status whether the server takes connections")
    health.add_argument("--url", help="the server (default: ws://EVAA_HOST:EVAA_PORT/ws)")

    brd = commands.add_parser("brd", help="write a session's BRD out as a file")
    brd.add_argument("session", type=_session_id, metavar="SESSION", help="the session: 24 hexadecimal digits")
    brd.add_argument("--format", choices=("markdown", "html", "docx", "json", "n8n"), default="markdown")
    brd.add_argument("--version", type=int, metavar="N", help="which version (default: the newest)")
    brd.add_argument("--output", metavar="FILE", help="where to (default: a file named after it; - is standard output)")

    stages = commands.add_parser("stages", help="show, replace or write out the stages of the interview")
    actions = stages.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="show the stages that new sessions begin with")
    replace = actions.add_parser("import", help="put the stages of a file in their place, all or nothing")
    replace.add_argument("file", help="a YAML or JSON file; - is standard input")
    replace.add_argument("--now", action="store_true", help=NOW)
    export = actions.add_parser("export", help="write them to standard output, as a file that import takes")
    export.add_argument("--format", choices=("yaml", "json"), default="yaml")

    _add_session_commands(commands)
    _add_n8n_commands(commands)
    _add_evaluate(commands)
    parsed = parser.parse_args(arguments)
    parsed.command = parsed.command or "serve"
    return parsed


def _add_session_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser("export", help="write the stored sessions to standard output")
    exported = export.add_subparsers(dest="what", metavar="WHAT", required=True)
    out = exported.add_parser("sessions", help="all of them, one JSON object a line")
    out.add_argument("--format", choices=("jsonl",), default="jsonl")

    take = commands.add_parser("import", help="take in sessions that export wrote, perhaps from another store")
    taken = take.add_subparsers(dest="what", metavar="WHAT", required=True)
    into = taken.add_parser("sessions", help="add those that are not there; to go on after a break, run it again")
    into.add_argument("file", nargs="?", default="-", help="what export wrote (default: -, standard input)")
    into.add_argument("--format", choices=("jsonl",), default="jsonl")
    into.add_argument("--replace", action="store_true", help="replace those that are there and are not the same")


def _add_n8n_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    n8n = commands.add_parser("n8n", help="check an n8n workflow for what n8n finds out late or never")
    actions = n8n.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="tell every problem with its place; exit status 1 if one is an error")
    check.add_argument("file", help="a workflow in JSON, as n8n exports it; - is standard input")


def _session_id(text: str) -> str:
    try:
        return parse_session_id(text)
    except FrameRefused as refused:
        raise argparse.ArgumentTypeError(refused.message) from None


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evaluate = commands.add_parser("evaluate", help="interview simulated users, and tell how well EVAA did")
    evaluate.add_argument("--scenarios", metavar="PATH", help="a scenario file, or a folder of them (default: ours)")
    evaluate.add_argument("--only", metavar="NAME", nargs="+", action="extend", default=[], help="only these scenarios")
    evaluate.add_argument("--at-once", type=_count, metavar="N", default=2, help="interviews at once (default: 2)")
    evaluate.add_argument("--format", choices=("table", "json"), default="table")
    evaluate.add_argument("--output", metavar="FILE", help="where to (default: standard output)")
    evaluate.add_argument("--compare", metavar="FILE", help="an earlier report in JSON; tells what has changed since")
    evaluate.add_argument("--price-in", type=_price, metavar="PRICE", help="of a million input tokens: tells the cost")
    evaluate.add_argument("--price-out", type=_price, metavar="PRICE", help="of a million output tokens")
    simulate = "play Groq in this process, as is done in any case without a key"
    evaluate.add_argument("--simulate", action="store_true", default=argparse.SUPPRESS, help=simulate)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_AT_ONCE:
        raise argparse.ArgumentTypeError(f"expected 1 to {MAX_AT_ONCE}")
    return int(text)


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise argparse.ArgumentTypeError("expected a price, such as 0.075")
    return price
