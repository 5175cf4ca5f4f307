"""`python -m deployment package`: the package for Azure, what is in it, and how it starts.

`licences`: THIRD_PARTY.md, written anew.
"""

import argparse
import hashlib
import sys
from collections import Counter
from pathlib import Path

from deployment.errors import DeploymentError
from deployment.licences import THIRD_PARTY, write_licences
from deployment.package import ROOT, SITE_PACKAGES, Package, build_package
from deployment.trial import Start, Trial, median_s, try_package

DIST = ROOT / "dist"
WITH, WITHOUT = "recserve.zip", "recserve-remote-build.zip"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deployment", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    package = commands.add_parser("package", help="write the package, list it and start it")
    package.add_argument(
        "--remote-build",
        action="store_true",
        help=f"leave the dependencies to a build in Azure: dist/{WITHOUT} instead of dist/{WITH}",
    )
    package.add_argument("--starts", type=int, default=4, help="how often to start it; 0: not at all")
    package.add_argument(
        "--compare-bytecode", action="store_true", help="start it without its bytecode too, in turns"
    )
    commands.add_parser("licences", help="write THIRD_PARTY.md: the licences of what is installed")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "licences":
            print(f"{THIRD_PARTY.name}: {write_licences()} distributions")
            return 0
        made = build_package(
            DIST / (WITHOUT if chosen.remote_build else WITH), with_dependencies=not chosen.remote_build
        )
        print(describe(made))
        if chosen.starts > 0:
            trial = try_package(made, n_starts=chosen.starts, is_compared=chosen.compare_bytecode)
            print(describe_trial(trial, made))
    except DeploymentError as err:
        print(err, file=sys.stderr)
        return 1
    return 0


def describe(package: Package) -> str:
    """The content list: every file of the app, bytecode by folder, dependencies by what they install."""
    sizes: Counter[str] = Counter()
    for entry in package.entries:
        sizes[_listed_as(Path(entry.name))] += entry.compressed
    lines = [f"{size / 1e6:9.3f} MB  {name}" for name, size in sorted(sizes.items())]
    n_bytes = package.path.stat().st_size
    digest = hashlib.sha256(package.path.read_bytes()).hexdigest()
    unpacked = sum(entry.size for entry in package.entries)
    return "\n".join(
        [
            *lines,
            f"{n_bytes / 1e6:9.3f} MB  {package.path.relative_to(ROOT)}: {len(package.entries)} files, "
            f"{unpacked / 1e6:.1f} MB unpacked, SHA-256 {digest[:16]}",
        ]
    )


def _listed_as(path: Path) -> str:
    if path.is_relative_to(SITE_PACKAGES):
        return (SITE_PACKAGES / path.relative_to(SITE_PACKAGES).parts[0]).as_posix()
    return f"{path.parent.as_posix()}/" if path.suffix == ".pyc" else path.as_posix()


def describe_trial(trial: Trial, package: Package) -> str:
    """How the package started."""
    installed = (
        "the worker library alone" if package.has_dependencies else "requirements.txt and the worker library"
    )
    answer = trial.starts[0].answer
    titles = ", ".join(str(item.get("title", item["id"])) for item in answer["items"][:3])
    lines = [
        f"started in a clean environment with {installed}: Python {trial.python}, worker {trial.worker}",
        f"{answer['model']['variant']} {answer['model']['version']} recommends {titles}",
        f"cold start, process to first recommendation: {_times(trial.starts)}",
    ]
    if trial.without_bytecode:
        lines.append(f"without the package's bytecode: {_times(trial.without_bytecode)}")
    return "\n".join(lines)


def _times(starts: list[Start]) -> str:
    each = ", ".join(f"{start.answered_s * 1e3:.0f}" for start in starts)
    return f"{each} ms; median after the first {median_s(starts) * 1e3:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
