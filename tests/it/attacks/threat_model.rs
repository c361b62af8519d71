//! `SECURITY.md` names the tests that prove what it says: they are there.

use std::path::Path;

const SECURITY: &str = include_str!("../../../SECURITY.md");
const FEWEST: usize = 40;

/// The source of a module of tests, as it is named in the document: `it::hostile::paths`, `browser::trust`, `speed::power_up`, or
/// one of the program's own.
fn source(module: &str) -> Option<String> {
    let (place, rest) = module.split_once("::").unwrap_or((module, ""));
    let folder = match place {
        "it" => "tests/it",
        "browser" => "tests/browser",
        "speed" => "benches/speed",
        _ => "src",
    };
    let path = if folder == "src" { module } else { rest }.replace("::", "/");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let candidates = [format!("{path}.rs"), format!("{path}/mod.rs")];
    candidates.iter().find_map(|candidate| std::fs::read_to_string(root.join(candidate)).ok())
}

#[test]
fn the_tests_that_the_threat_model_names_are_there() {
    let code = SECURITY.split('`').skip(1).step_by(2);
    let named: Vec<_> = code.filter(|text| text.contains("::") && !text.ends_with("::")).collect();
    assert!(named.len() >= FEWEST, "{} tests are named", named.len());
    for name in named {
        let (module, function) = name.rsplit_once("::").unwrap();
        let source = source(module).unwrap_or_else(|| panic!("there is no module {module}"));
        let is_there = source.contains(&format!("fn {function}("));
        assert!(is_there, "there is no test {name}");
    }
}

#[test]
fn the_threat_model_fits_on_a_page() {
    let lines = SECURITY.lines().count();
    assert!(lines <= 90, "{lines} lines");
}
