"""Finding and getting servers: the cache, PATH, builds that fail, two at once."""

from __future__ import annotations

import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.cache import cache
from deploy.embedded import ServerUnavailable, available_engines
from deploy.obtain import find, obtain
from deploy.servers import dynoxide
from deploy.servers import temporal as obtaining

ROOT = Path(__file__).parent.parent


class TestObtain:
    @pytest.fixture(autouse=True)
    def empty(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty cache, and only the tools that a test puts on PATH."""
        (tmp_path / "tools").mkdir()
        monkeypatch.setenv("REINDEXER_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("PATH", str(tmp_path / "tools"))

    def tool(self, tmp_path: Path, name: str, script: str) -> None:
        file = tmp_path / "tools" / name
        file.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def test_the_cache_is_where_the_user_wants_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert cache() == tmp_path / "cache"
        monkeypatch.delenv("REINDEXER_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache() == tmp_path / "xdg" / "reindexer"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache() == tmp_path / ".cache" / "reindexer"

    def test_what_is_on_path_is_taken_unless_too_old(self, tmp_path: Path) -> None:
        self.tool(tmp_path, "temporal", "echo temporal version 1.8.3")
        found = find("temporal")
        assert found is not None
        assert found.command == (str(tmp_path / "tools" / "temporal"),)
        self.tool(tmp_path, "temporal", "echo temporal version 0.13.2")
        assert find("temporal") is None

    def test_without_tools_it_says_the_way_out(self) -> None:
        with pytest.raises(ServerUnavailable, match="cargo"):
            obtain("dynoxide")
        with pytest.raises(ServerUnavailable, match="npm"):
            obtain("local")
        with pytest.raises(ServerUnavailable, match="There is no server called dynamite"):
            obtain("dynamite")
        assert not {"dynoxide", "local"} & set(available_engines())

    def test_the_program_built_is_of_the_version_it_is_kept_as(self) -> None:
        package = ROOT / "deploy" / "servers" / "dynoxide_serve"
        asked = tomllib.loads((package / "Cargo.toml").read_text())["dependencies"]["dynoxide-rs"]["version"]
        locked = tomllib.loads((package / "Cargo.lock").read_text())["package"]
        assert asked == f"={dynoxide.VERSION}"
        assert dynoxide.VERSION in [one["version"] for one in locked if one["name"] == "dynoxide-rs"]

    def test_a_failed_build_is_told_with_its_last_words(self, tmp_path: Path) -> None:
        self.tool(tmp_path, "cargo", "echo no space left; exit 1")
        with pytest.raises(ServerUnavailable, match=r"(?s)cannot be built.*ministack.*no space left"):
            obtain("dynoxide")
        assert find("dynoxide") is None

    def test_two_processes_at_once_build_once(self, tmp_path: Path) -> None:
        build = f'echo built >> {tmp_path}/builds; sleep 0.5; for root; do :; done; mkdir -p "$root/bin"'
        self.tool(
            tmp_path,
            "cargo",
            f'{build}; echo "#!/bin/sh" > "$root/bin/dynoxide"; chmod +x "$root/bin/dynoxide"',
        )
        command = [
            sys.executable,
            "-c",
            "from deploy.obtain import obtain; print(obtain('dynoxide').command[0])",
        ]
        both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        told = {process.communicate()[0].strip() for process in both}
        assert told == {str(tmp_path / "cache" / "bin" / "dynoxide-3.2.0-jemalloc")}
        assert (tmp_path / "builds").read_text() == "built\n"

    def test_temporal_is_built_where_nothing_else_is_to_be_had(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(obtaining, "_SDK_DOWNLOAD", "raise SystemExit('no way out of here')")
        script = (
            "[ $1 = mod ] && exec grep 'cli v1.8.2' go.mod; printf '#!/bin/sh' > temporal; chmod +x temporal"
        )
        self.tool(
            tmp_path, "go", f'[ "$1" = version ] && echo go version go1.27.0 linux/amd64 && exit; {script}'
        )
        assert obtain("temporal").command == (str(tmp_path / "cache" / "bin" / "temporal-1.8.2"),)

    def test_the_sdks_download_is_taken_where_it_comes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = "import os, sys; f = open(sys.argv[1] + '/cli', 'w'); f.write('#!/bin/sh\\necho 1.8.2')"
        monkeypatch.setattr(obtaining, "_SDK_DOWNLOAD", f"{script}; os.fchmod(f.fileno(), 0o700)")
        assert obtain("temporal").command == (str(tmp_path / "cache" / "bin" / "temporal-1.8.2"),)

    def test_a_download_that_hangs_is_given_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(obtaining, "_STALLED_SECONDS", 0.5)
        monkeypatch.setattr(obtaining, "_SDK_DOWNLOAD", "import time; time.sleep(60)")
        self.tool(tmp_path, "go", "echo go version go1.27.0 linux/amd64; [ $1 = version ]")
        with pytest.raises(ServerUnavailable, match="Put `temporal` on PATH"):
            obtain("temporal")
