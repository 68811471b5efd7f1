//! The documents name tests that exist.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// What stands between `open` and `close`, each time.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(open)?;
        let (inner, behind) = behind.split_once(close)?;
        rest = behind;
        Some((inner, behind))
    })
}

/// The tests that a document names, as ``[`a.rs::name`](../path/a.rs)``: path and name.
fn named(document: &str) -> Vec<(PathBuf, String)> {
    let links = between(document, "[`", "`](");
    links
        .filter_map(|(shown, behind)| {
            let (file, name) = shown.split_once("::")?;
            let path = behind.split_once(')')?.0.strip_prefix("../")?;
            let file = file.strip_prefix("src/").unwrap_or(file);
            assert!(path.ends_with(file), "{shown} leads to {path}");
            Some((path.into(), name.to_owned()))
        })
        .collect()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut missing = Vec::new();
    for document in ["features.md", "defects.md", "complaints.md"] {
        let text = fs::read_to_string(root.join("docs").join(document)).unwrap();
        let tests = named(&text);
        assert_eq!(tests.len(), text.matches(".rs::").count(), "{document} names a test without a link to its file");
        assert!(tests.len() > 20, "{document} names {} tests", tests.len());
        for (path, name) in tests {
            let source = fs::read_to_string(root.join(&path)).unwrap_or_default();
            if !source.contains(&format!("fn {name}(")) && !source.contains(&format!("fn {name}<")) {
                missing.push(format!("{document}: {name} in {}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "there are no such tests:\n{}", missing.join("\n"));
}

#[test]
fn every_row_of_the_features_is_answered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/features.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 60);
    for row in rows {
        assert_eq!(row.len(), 11, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        let unanswered = row[2] == "…" || row[2].starts_with('N');
        assert!(unanswered || row[2].contains(".rs::"), "a yes without its test: {row:?}");
    }
}
