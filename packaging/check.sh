#!/bin/sh
# Everything that can be judged without running Lodge.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin
$bin/ruff format --check -q .
$bin/ruff check -q .
$bin/mypy
$bin/lint-imports --no-logo
$bin/codespell -q 3 src tests docs packaging bench ./*.md
$bin/vulture
$bin/python docs/generate.py --check
