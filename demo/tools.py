"""The two command lines, run as a user would run them."""
import json
import pathlib
import subprocess

import screen


class Tools:
    def __init__(self, build, folder, environment):
        self.bin = pathlib.Path(build).resolve() / "bin"
        self.folder = pathlib.Path(folder)
        self.environment = environment

    def run(self, program, *arguments):
        """(exit code, stdout, stderr), in the demo's folder."""
        done = subprocess.run([str(self.bin / program), *arguments], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, errors="replace")
        return done.returncode, done.stdout, done.stderr

    def shown(self, program, *arguments, expect=0, errors=True):
        """Runs and prints command and output; stops the demo when the exit code is another one."""
        screen.command([program, *arguments])
        code, out, err = self.run(program, *arguments)
        screen.text((out + (err if errors else "")).rstrip("\n"))
        if expect is not None and code != expect:
            raise SystemExit(f"demo: {program} {arguments[0]}: found exit code {code}, expected {expect}")
        return code

    def json(self, program, *arguments):
        code, out, err = self.run(program, *arguments, "--json")
        if code not in (0, 4, 5):
            raise SystemExit(f"demo: {program} {arguments[0]} --json: exit code {code}: {err}")
        return json.loads(out)
