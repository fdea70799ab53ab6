"""The command line: what `python run.py` understands."""

import argparse

DESCRIPTION = "EVAA, the backend of a voice agent that interviews people about the automation they need."

SIMULATE = "play Groq and Deepgram in this process: no key is needed"
AUDIO = "play these recordings (WebM or Ogg with Opus, or 16-bit mono WAVE) in real time in place of what you type"


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

    stages = commands.add_parser("stages", help="show, replace or write out the stages of the interview")
    actions = stages.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="show the stages that new sessions begin with")
    replace = actions.add_parser("import", help="put the stages of a file in their place, all or nothing")
    replace.add_argument("file", help="a YAML or JSON file; - is standard input")
    export = actions.add_parser("export", help="write them to standard output, as a file that import takes")
    export.add_argument("--format", choices=("yaml", "json"), default="yaml")

    parsed = parser.parse_args(arguments)
    parsed.command = parsed.command or "serve"
    return parsed
