//! What a file looks like: its name, its head, its length, and what may not stand in it.

use super::{Tree, nothing_strays};

#[test]
fn rooms_are_named_for_a_subject() {
    const FORBIDDEN: [&str; 15] = [
        "common", "util", "utils", "helper", "helpers", "misc", "shared", "base", "core", "types",
        "models", "model", "manager", "managers", "mod",
    ];
    let tree = Tree::read();
    let strays: Vec<_> = tree
        .files
        .keys()
        // A script has the name of the target that calls it.
        .filter(|path| !path.starts_with("scripts/"))
        .filter(|path| {
            let stem = path.rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
            stem.split('/').any(|room| FORBIDDEN.contains(&room))
        })
        .cloned()
        .collect();
    nothing_strays("a room without a subject; name it for what it is about:", &strays);
}

#[test]
fn a_file_says_what_it_promises() {
    let tree = Tree::read();
    let mut strays = Vec::new();
    for (path, text) in tree.ending(".rs") {
        if !text.starts_with("//! ") {
            strays.push(format!("{path} doesn't open with //!"));
        }
    }
    for (path, text) in tree.ending(".lua") {
        if !["KEYS", "ARGV", "RETURNS"].iter().all(|word| text.contains(word)) {
            strays.push(format!("{path} lacks KEYS, ARGV or RETURNS at its head"));
        }
    }
    for (path, text) in tree.ending(".sql") {
        if !text.starts_with("-- ") {
            strays.push(format!("{path} doesn't open with a comment"));
        }
    }
    for (path, text) in tree.files.iter().filter(|(path, _)| path.starts_with("scripts/")) {
        let head = text.lines().nth(1).unwrap_or_default();
        if !head.starts_with("# ") {
            strays.push(format!("{path} doesn't say on its second line what it promises"));
        }
    }
    nothing_strays("a file without a head:", &strays);
}

#[test]
fn files_and_lines_are_short() {
    let tree = Tree::read();
    let mut strays = Vec::new();
    let ends = [".rs", ".lua", ".sql", ".proto", "Cargo.toml"];
    for (path, text) in ends.iter().flat_map(|end| tree.ending(end)) {
        let lines = text.lines().count();
        if lines > 500 {
            strays.push(format!("{path} has {lines} lines, of 500"));
        }
        for (number, line) in text.lines().enumerate() {
            let is_table = path.ends_with("Cargo.toml");
            if line.chars().count() > 100 && !is_table {
                strays.push(format!("{path}:{} is over 100 columns", number + 1));
            }
        }
    }
    nothing_strays("too long:", &strays);
}

#[test]
fn versions_are_named_once() {
    let tree = Tree::read();
    let mut strays = Vec::new();
    for (path, text) in tree.ending("/Cargo.toml") {
        let mut is_dependency = false;
        for line in text.lines() {
            if line.starts_with('[') {
                is_dependency = line.contains("dependencies");
            } else if is_dependency && line.contains('=') && !line.contains("workspace = true") {
                strays.push(format!("{path}: {line}"));
            }
        }
    }
    nothing_strays("a version outside the workspace's table:", &strays);
}

#[test]
fn nothing_is_left_open() {
    // Spelled in halves, so that this file doesn't find itself.
    let marks = [["FIX", "ME"], ["XX", "X:"], ["TO", "DO"], ["#[ig", "nore"], ["dbg", "!("]];
    let marks = marks.map(|halves| halves.concat());
    let tree = Tree::read();
    let mut strays = Vec::new();
    for (path, text) in [".rs", ".proto", ".sql", ".lua"].iter().flat_map(|end| tree.ending(end)) {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                strays.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    nothing_strays("left open:", &strays);
}

#[test]
fn tests_await_conditions() {
    let tree = Tree::read();
    let mut strays = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let is_test = path.starts_with("tests/src/stories") || path.ends_with("tests.rs");
        for (number, line) in text.lines().enumerate() {
            if is_test && (line.contains("time::sleep(") || line.contains("thread::sleep(")) {
                strays.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    nothing_strays("a test sleeps; await a condition with a deadline instead:", &strays);
}

#[test]
fn every_setting_has_its_reason() {
    let tree = Tree::read();
    let mut strays = Vec::new();
    for (path, text) in tree.ending("config.default.toml") {
        let mut has_comment = false;
        for (number, line) in text.lines().enumerate() {
            match line.trim() {
                "" => has_comment = false,
                comment if comment.starts_with('#') => has_comment = true,
                // A comment right above a table speaks for the table.
                table if table.starts_with('[') => {}
                setting if !has_comment && !setting.contains('#') => {
                    strays.push(format!("{path}:{}: {setting}", number + 1));
                }
                _ => {}
            }
        }
    }
    nothing_strays("a setting without the reason for its default:", &strays);
}
