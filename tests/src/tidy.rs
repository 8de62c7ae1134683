//! The rules of the house, read off the tree: who may import whom, which rooms may exist, what
//! stands at the head of a file. Each rule says in its failure what to do instead. They are the
//! table of ARCHITECTURE.md ("Who may import whom") and STYLE.md, where a machine can check them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

mod imports;
mod sources;

/// Every tracked kind of file below the workspace's root, by its path from there.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads `.rs`, `.toml`, `.proto`, `.lua`, `.sql`, `.md` and script files.
    fn read() -> Self {
        let root = root();
        let mut files = BTreeMap::new();
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("the tree can be read") {
                let path = entry.expect("the tree can be read").path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if path.is_dir() {
                    let is_ours =
                        !name.starts_with('.') && !["target", "node_modules"].contains(&name);
                    if is_ours || name == ".ci" {
                        open.push(path);
                    }
                } else if let Ok(text) = fs::read_to_string(&path) {
                    let inside = path.strip_prefix(&root).expect("it was found below the root");
                    files.insert(inside.display().to_string(), text);
                }
            }
        }
        Self { files }
    }

    /// Files whose path ends so, with their text.
    fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files.iter().filter(move |(path, _)| path.ends_with(end)).map(|(p, t)| (&**p, &**t))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

/// Ends the test with every stray place, not just the first.
fn nothing_strays(rule: &str, strays: &[String]) {
    let mut list = String::new();
    for stray in strays {
        let _ = write!(list, "\n  {stray}");
    }
    assert!(strays.is_empty(), "{rule}{list}");
}
