//! Who may import whom: by the manifests, and by the names in the sources.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, MetadataCommand};

use super::{Tree, nothing_strays, root};

const SERVICES: [&str; 4] = ["gateway", "inventory-svc", "order-svc", "user-svc"];
const GROUND: [&str; 7] = ["ids", "law", "proto", "journal", "store", "chassis", "testbed"];

/// Which members of the workspace a package may depend on.
fn allowed(package: &str) -> Vec<&'static str> {
    match package {
        "ids" | "proto" | "chassis" | "testbed" => vec![],
        "store" => vec!["chassis", "testbed"],
        "law" => vec!["ids"],
        "journal" => vec!["ids", "law", "proto", "chassis", "testbed"],
        service if SERVICES.contains(&service) => GROUND.to_vec(),
        "seckill" | "protocol-model" | "tests" | "bench" => [SERVICES.as_slice(), &GROUND].concat(),
        other => panic!("{other} is new: give it a row here and in ARCHITECTURE.md"),
    }
}

#[test]
fn packages_import_only_what_lies_below_them() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo is there, since it runs this test");
    let members: BTreeSet<_> = metadata.packages.iter().map(|p| p.name.to_string()).collect();
    let mut strays = Vec::new();
    for package in &metadata.packages {
        let allowed = allowed(&package.name);
        for dependency in &package.dependencies {
            let is_ours = members.contains(&dependency.name);
            let is_known = allowed.contains(&dependency.name.as_str());
            let is_test_only = dependency.kind == DependencyKind::Development;
            if dependency.name == "testbed"
                && !is_test_only
                && !["tests", "bench"].contains(&package.name.as_str())
            {
                strays.push(format!("{} imports testbed outside of its tests", package.name));
            }
            if is_ours && !is_known && dependency.kind != DependencyKind::Build {
                strays.push(format!("{} imports {}", package.name, dependency.name));
            }
        }
    }
    nothing_strays("a package imports one that it may not know:", &strays);
}

#[test]
fn drivers_stay_in_their_rooms() {
    let rooms: [(&str, &[&str]); 6] = [
        ("rdkafka", &["journal"]),
        ("sqlx", &["store", "user-svc", "inventory-svc", "order-svc", "testbed", "tests", "bench"]),
        ("redis", &["inventory-svc", "testbed", "bench"]),
        ("jsonwebtoken", &["chassis", "user-svc"]),
        ("opentelemetry", &["chassis"]),
        ("prometheus-client", &["chassis"]),
    ];
    let tree = Tree::read();
    let mut strays = Vec::new();
    for (path, text) in tree.ending("Cargo.toml").filter(|(path, _)| *path != "Cargo.toml") {
        let package = path.trim_end_matches("/Cargo.toml").trim_start_matches("crates/");
        // Tests may have any driver: they make keys and damage databases.
        let manifest = text.split("[dev-dependencies]").next().unwrap_or_default();
        for (driver, homes) in rooms {
            let has = manifest.lines().any(|line| line.starts_with(&format!("{driver}.workspace")));
            if has && !homes.contains(&package) {
                strays.push(format!("{path} has {driver}, which lives in {homes:?}"));
            }
        }
    }
    nothing_strays("a driver is outside its room:", &strays);
}

#[test]
fn sql_is_spoken_only_by_the_adapters() {
    let tree = Tree::read();
    let strays: Vec<_> = tree
        .ending(".rs")
        .filter(|(path, _)| SERVICES.iter().any(|service| path.starts_with(service)))
        .filter(|(path, text)| names(text, "sqlx") && !is_sql_adapter(path))
        .map(|(path, _)| path.to_owned())
        .collect();
    nothing_strays("sqlx is named outside of a sqlite or mysql adapter:", &strays);
}

fn is_sql_adapter(path: &str) -> bool {
    ["sqlite", "mysql"].iter().any(|technology| {
        path.ends_with(&format!("/{technology}.rs")) || path.contains(&format!("/{technology}/"))
    })
}

#[test]
fn messages_stay_at_the_rim() {
    let tree = Tree::read();
    let strays: Vec<_> = tree
        .ending(".rs")
        .filter(|(path, _)| {
            SERVICES.iter().any(|service| path.starts_with(service)) || path.starts_with("crates/")
        })
        .filter(|(path, text)| names(text, "proto") && !is_rim(path))
        .map(|(path, _)| path.to_owned())
        .collect();
    nothing_strays("proto is named outside of grpc, edge, upstream, the codec or a test:", &strays);
}

fn is_rim(path: &str) -> bool {
    let stem = path.trim_end_matches(".rs");
    let is_rim = stem.split('/').any(|room| ["grpc", "edge", "upstream", "codec"].contains(&room));
    is_rim || is_test(path)
}

/// Files that are compiled for tests alone.
fn is_test(path: &str) -> bool {
    let stem = path.trim_end_matches(".rs");
    stem.split('/').any(|room| room == "tests" || room.ends_with("_tests") || room == "contract")
}

#[test]
fn the_domain_is_pure() {
    const BANNED: [&str; 8] =
        ["async_trait", "chassis", "proto", "serde", "sqlx", "tokio", "tonic", "tracing"];
    let tree = Tree::read();
    let mut strays = Vec::new();
    for (path, text) in tree.ending(".rs") {
        if !path.contains("/src/domain") || is_test(path) {
            continue;
        }
        for banned in BANNED.iter().filter(|banned| names(text, banned)) {
            strays.push(format!("{path} names {banned}"));
        }
        if code(text).any(|line| line.contains("async fn")) {
            strays.push(format!("{path} has an async function"));
        }
    }
    nothing_strays("the domain decides and does nothing else:", &strays);
}

/// Lines that aren't comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// Whether code (not comments) uses a crate's path: `name::` or `use name`.
fn names(text: &str, krate: &str) -> bool {
    let path = format!("{krate}::");
    code(text).any(|line| {
        line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        })
    })
}

#[test]
fn a_path_is_told_from_a_name_that_ends_alike() {
    assert!(names("use proto::order::v1::Order;", "proto"));
    assert!(names("let x = proto::reason_text(y);", "proto"));
    assert!(!names("// proto::order", "proto"));
    assert!(!names("use my_proto::order;", "proto"));
    assert!(!names("use crate::proto::order;", "proto"));
}
