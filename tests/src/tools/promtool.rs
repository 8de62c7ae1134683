//! `promtool check metrics`, of what a reader gets who asks for no format.

use std::{fs, path::Path};

use super::{Newcomer, Tool, run};
use crate::shop::look;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wrong_with_the_metrics() {
    let Some(promtool) = Tool::find("promtool") else { return };
    let shop = Newcomer::open().await;
    let answer = look(shop.dev.metrics(), "/metrics").await.expect("they are served");
    let (_, metrics) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let place = tempfile::tempdir().expect("the temporary directory can be written");
    let file = place.path().join("metrics");
    fs::write(&file, metrics).expect("it can be written");
    let (tool, file) = (promtool.program.display(), file.display());
    let check = format!("{tool} check metrics < {file} 2>&1");
    let told = run(Path::new("."), "sh", &["-c", &check]).await.well();
    assert_eq!(told, "");
}
