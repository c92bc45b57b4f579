#!/usr/bin/env python3
"""Static analysis of the library by cppcheck, clang-tidy and GCC's -fanalyzer: `./dev analyse` runs it. A finding is a
failure unless tests/analysis.txt lists it with a reason; so is an entry there that nothing matches any more.

    analyse.py TOOL BUILD        TOOL is cppcheck, clang-tidy or gcc; BUILD is a folder that meson has configured
"""
import concurrent.futures
import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LISTED = os.path.join(ROOT, 'tests', 'analysis.txt')
FOLDERS = ('autograd', 'ops', 'nn', 'io')
# Checks of values, not of taste; "normal" is what cppcheck calls all ways through a function within its limits.
CPPCHECK = ['cppcheck', '--enable=warning,performance,portability', '--inline-suppr', '--quiet', '--std=c11',
            '--template={file}:{line}:0: warning: {message} [{id}]', '--suppress=*:/usr/*']


def library(build):
    """The compiler's command of each source of the library, once."""
    with open(os.path.join(build, 'compile_commands.json')) as f:
        commands = json.load(f)
    found = {}
    for c in commands:
        path = os.path.relpath(os.path.normpath(os.path.join(c['directory'], c['file'])), ROOT)
        if path.split(os.sep)[0] in FOLDERS:
            found.setdefault(path, c)
    return found


def options(command):
    """The words of a compiler's command that say how a source is to be read."""
    words = shlex.split(command['command'])
    return [w for w in words if re.match(r'-[IDU]', w)]


def by_gcc(path, command):
    words = [w for w in shlex.split(command['command']) if not re.match(r'ccache$|-Werror|-M|-O|-fdiagnostics', w)]
    drop = {i + 1 for i, w in enumerate(words) if w == '-o'} | {i for i, w in enumerate(words) if w.endswith('.d')}
    words = [w for i, w in enumerate(words) if i not in drop and w not in ('-o', '-c') and not w.endswith('.o')]
    return words + ['-O1', '-fanalyzer', '-Wno-analyzer-too-complex', '-fdiagnostics-plain-output',
                    '-fdiagnostics-path-format=none', '-S', '-o', os.devnull]


def by_tidy(path, command):
    return ['clang-tidy', '--quiet', '-p', command['directory'], os.path.join(ROOT, path)]


def by_cppcheck(path, command):
    return CPPCHECK + options(command) + [os.path.join(ROOT, path)]


TOOLS = {'gcc': by_gcc, 'clang-tidy': by_tidy, 'cppcheck': by_cppcheck}


def findings(tool, path, command):
    """(check, file, line, text) of each finding in a source, and what the tool said where it failed."""
    words = TOOLS[tool](path, command)
    done = subprocess.run(words, cwd=command['directory'], capture_output=True, text=True, errors='replace')
    said = done.stdout + done.stderr
    found = set()
    for m in re.finditer(r'^(.+?):(\d+):(?:\d+:)? (warning|error): (.*?)((?: \[[^][]+\])*)$', said, re.M):
        where = os.path.relpath(os.path.normpath(os.path.join(command['directory'], m[1])), ROOT)
        checks = [c for c in re.findall(r'\[([^][]+)\]', m[5]) if not c.startswith('CWE')]
        found.add((checks[-1].split(',')[0] if checks else m[3], where, int(m[2]), m[4]))
    broken = done.returncode != 0 and not found
    return found, said[-500:] if broken else ''


def listed():
    """Entries `TOOL CHECK FILE [: part of the line]`, below a line that gives their reason."""
    entries, reason = [], ''
    with open(LISTED) as f:
        for line in map(str.rstrip, f):
            if line.startswith('#') or not line:
                reason = line[1:].strip()
                continue
            words, _, part = line.partition(' : ')
            tool, check, path = words.split()
            assert reason, f'{LISTED}: no reason for {line}'
            entries.append((tool, check, path, part))
    return entries


def text_of(path, number):
    try:
        with open(os.path.join(ROOT, path)) as f:
            return f.readlines()[number - 1].strip()
    except (OSError, IndexError):
        return ''


def matches(entry, tool, finding):
    check, path, number, _ = finding
    return (entry[:2] == (tool, check) and fnmatch.fnmatch(path, entry[2]) and
            (not entry[3] or entry[3] in text_of(path, number)))


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in TOOLS:
        sys.exit(__doc__)
    tool, sources = sys.argv[1], library(sys.argv[2])
    entries = [e for e in listed() if e[0] == tool]
    used, new, failed = set(), set(), []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(findings, tool, path, command): path for path, command in sources.items()}
        for job in concurrent.futures.as_completed(jobs):
            found, broken = job.result()
            if broken:
                failed.append(f'{jobs[job]}: {tool} failed: {broken}')
            for f in found:
                matching = [e for e in entries if matches(e, tool, f)]
                used.update(matching)
                if not matching:
                    new.add(f)
    for check, path, number, text in sorted(new, key=lambda f: f[1:3]):
        print(f'{path}:{number}: {text} [{check}]\n    {text_of(path, number)}')
    stale = [e for e in entries if e not in used]
    for e in stale:
        print('tests/analysis.txt: nothing matches any more:', ' '.join(e))
    for text in failed:
        print(text)
    print(f'{tool}: {len(sources)} sources, {len(new)} new findings, {len(used)} listed')
    sys.exit(bool(new or stale or failed))


if __name__ == '__main__':
    main()
