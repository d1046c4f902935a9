import re
import shutil
import subprocess
from pathlib import Path

import pytest

import cnnviz.widgets
from cnnviz.widgets import _bundle

WIDGETS = Path(cnnviz.widgets.__file__).parent
VIEW = WIDGETS / "sliding_kernel" / "view.js"
VIEWS = sorted(path for path in WIDGETS.glob("*/view.js") if path.parent.name != "js")
STANDALONE = WIDGETS / "js" / "standalone.js"


def written(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    return folder / "view.js"


def test_a_module_stands_after_what_it_imports(tmp_path):
    view = written(
        tmp_path,
        view='import { two } from "./b.js";\nimport { one } from "./a.js";\nexport default { one, two };\n',
        a="export const one = 1;\n",
        b='import { one } from "./a.js";\nexport function two() {\n  return one + 1;\n}\n',
    )
    assert [path.name for path in _bundle.modules(view)] == ["a.js", "b.js", "view.js"]
    joined = _bundle.join(view)
    assert "import" not in joined
    assert re.findall(r"^export .*", joined, re.M) == ["export default { one, two };"]


def test_an_import_over_several_lines_is_dropped(tmp_path):
    view = written(
        tmp_path,
        view='import {\n  one,\n  two,\n} from "./a.js";\nexport default { one };\n',
        a="export const one = 1;\nexport class two {}\n",
    )
    assert _bundle.join(view) == "// a.js\nconst one = 1;\nclass two {}\n// view.js\nexport default { one };\n"


def test_a_circle_of_imports_is_refused_with_its_names(tmp_path):
    view = written(
        tmp_path,
        view='import { a } from "./a.js";\nexport default {};\n',
        a='import { b } from "./b.js";\nexport const a = 1;\n',
        b='import { a } from "./a.js";\nexport const b = 1;\n',
    )
    with pytest.raises(ValueError, match=re.escape("view.js -> a.js -> b.js -> a.js")):
        _bundle.join(view)


@pytest.mark.parametrize(
    "line", ['import a from "./a.js";', 'export { one } from "./a.js";', "export default 3;", "import './a.js';"]
)
def test_a_form_that_would_survive_the_joining_is_refused(tmp_path, line):
    view = written(tmp_path, view='import { b } from "./b.js";\nexport default {};\n', b=f"{line}\n", a="")
    with pytest.raises(ValueError, match=r"b\.js: the joiner does not know"):
        _bundle.join(view)


def test_the_views_text_has_one_export_and_no_import():
    joined = _bundle.join(VIEW)
    assert not re.search(r"^import\b", joined, re.M)
    assert len(re.findall(r"^export\b", joined, re.M)) == 1
    assert joined.rindex("// view.js") > joined.index("// geometry.js")


@pytest.mark.parametrize("view", VIEWS, ids=lambda path: path.parent.name)
def test_no_name_is_defined_by_two_modules(view):
    # in one text a second definition is a syntax error, found only when a reader opens a notebook
    owners: dict[str, str] = {}
    for path in _bundle.modules(view, STANDALONE):
        pattern = r"^(?:export )?(?:async )?(?:function\*?|class|const|let) ([A-Za-z_$][\w$]*)"
        for name in re.findall(pattern, path.read_text(encoding="utf-8"), re.M):
            assert name not in owners, f"{name} is in {owners.get(name)} and in {path.name}"
            owners[name] = path.name
    assert len(owners) > (50 if view == VIEW else 15)
    assert len(re.findall(r"^export\b", _bundle.join(view), re.M)) == 1


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_joined_text_is_a_module_that_parses(tmp_path):
    (tmp_path / "joined.mjs").write_text(_bundle.join(VIEW, STANDALONE), encoding="utf-8")
    subprocess.run(["node", "--check", tmp_path / "joined.mjs"], check=True, capture_output=True)
    (tmp_path / "twice.mjs").write_text(_bundle.join(VIEW) * 2, encoding="utf-8")  # the check can fail
    assert subprocess.run(["node", "--check", tmp_path / "twice.mjs"], check=False, capture_output=True).returncode


MODEL = """
import { StandaloneModel } from "%s";
import { openedChanges } from "%s";
import { STATE_DEFAULTS, encodeState } from "%s";
const said = [];
const model = new StandaloneModel({ a: 1, b: 2, pair: [1, 2] });
const hear = (name) => model.on(name, () => said.push(name));
hear("change:a");
hear("change:b");
hear("change:pair");
hear("change");
const equals = (wanted, what) => {
  if (JSON.stringify(said) !== JSON.stringify(wanted)) throw new Error(`${what}: ${JSON.stringify(said)}`);
  said.length = 0;
};
model.set({ a: 2, b: 3 });
equals(["change:a", "change:b", "change"], "every name, then the whole");
model.set("a", 2);
model.set("pair", [1, 2]);
equals([], "nothing changed");
const once = () => model.get("a") < 5 && model.set("b", 10);
model.on("change:a", once);
model.set({ a: 3, pair: [3, 4] });
equals(["change:a", "change:b", "change:pair", "change"], "a listener that sets something");
model.off("change:a", once);
model.set("a", 4);
equals(["change:a", "change"], "off");
model.off("change:a");
model.set("a", 9);
equals(["change"], "off for a name");
const state = { ...STATE_DEFAULTS, image: { shape: [1, 20, 20], values: Array(400).fill(1) }, height: 20, width: 20 };
const changes = openedChanges(state, "#" + encodeState({ ...state, kernel_size: 5 }));
if ("image" in changes || changes.kernel_size !== 5) throw new Error("a large picture stays");
let refused = 0;
for (const wrong of ["k1.x", encodeState({ kernel_size: 40 })]) {
  try { openedChanges(STATE_DEFAULTS, wrong); } catch (error) { refused += error.name === "LayerError"; }
}
if (refused !== 2) throw new Error("wrong fragments are refused");
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_pages_model_tells_changes_as_a_notebooks_model_does(tmp_path):
    script = tmp_path / "model.mjs"
    modules = STANDALONE, WIDGETS / "sliding_kernel" / "session.js", WIDGETS / "js" / "share.js"
    script.write_text(MODEL % tuple(path.as_uri() for path in modules), encoding="utf-8")
    done = subprocess.run(["node", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
