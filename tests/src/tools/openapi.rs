//! What people make of `/openapi.json`: a validator, and clients by two generators, each of which
//! buys a unit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use tempfile::TempDir;
use testbed::running::{client_tool, java};

use super::{Newcomer, run};
use crate::{
    house::{PATIENCE, eventually},
    shop::look,
};

/// A directory to work in, with the document of a shop in it.
async fn place_with_the_document(shop: &Newcomer) -> TempDir {
    let place = tempfile::tempdir().expect("the temporary directory can be written");
    let answer = eventually("it is served", PATIENCE, async || {
        look(shop.dev.public(), "/openapi.json").await.ok()
    })
    .await;
    let (_, document) = answer.split_once("\r\n\r\n").expect("a head and a body");
    fs::write(place.path().join("openapi.json"), document).expect("it can be written");
    place
}

fn client(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_valid() {
    let Some(dir) = client_tool("openapi-spec-validator") else { return };
    let place = place_with_the_document(&Newcomer::open().await).await;
    let validator = dir.join("bin/openapi-spec-validator");
    run(place.path(), validator, &["openapi.json"]).await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_the_types_of_openapi_typescript_buys() {
    let Some(dir) = client_tool("openapi-typescript") else { return };
    let shop = Newcomer::open().await;
    let place = place_with_the_document(&shop).await;
    let of_node = |name: &str| dir.join("node_modules/.bin").join(name);
    std::os::unix::fs::symlink(dir.join("node_modules"), place.path().join("node_modules"))
        .expect("the directory is new");
    fs::copy(client("purchase.ts"), place.path().join("purchase.ts")).expect("it is there");
    fs::write(place.path().join("package.json"), json!({ "type": "module" }).to_string())
        .expect("it can be written");

    let typescript = of_node("openapi-typescript");
    run(place.path(), typescript, &["openapi.json", "--output", "api.ts"]).await.well();
    let strictly = ["--strict", "--target", "es2022", "--types", "node", "--outDir", "."];
    let as_module = ["--module", "esnext", "--moduleResolution", "bundler", "purchase.ts"];
    run(place.path(), of_node("tsc"), &[&strictly[..], &as_module[..]].concat()).await.well();
    let at = format!("http://{}", shop.public());
    let told = run(place.path(), "node", &["purchase.js", &at]).await.message();
    assert_eq!(told["bought"], "ACCEPTED", "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_by_openapi_generator_buys() {
    let (Some(generator), Some(python)) =
        (client_tool("openapi-generator"), client_tool("openapi-generator-python"))
    else {
        return;
    };
    let shop = Newcomer::open().await;
    let place = place_with_the_document(&shop).await;
    let jar = generator.join("openapi-generator-cli.jar").display().to_string();
    let generate = ["-jar", &jar, "generate", "-g", "python", "-i", "openapi.json", "-o", "."];
    run(place.path(), java(), &generate).await.well();
    fs::copy(client("purchase.py"), place.path().join("purchase.py")).expect("it is there");
    let at = format!("http://{}", shop.public());
    let told = run(place.path(), python.join("bin/python"), &["purchase.py", &at]).await.message();
    assert_eq!(told["bought"], "ACCEPTED", "{told}");
}
