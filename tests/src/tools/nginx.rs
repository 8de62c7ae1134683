//! A stream of events behind nginx, as it proxies by default, and as it does where gzip is on.

use std::fs;

use proto::gateway::v1::{
    GetSaleRequest, ListSalesRequest, gateway_service_client::GatewayServiceClient,
};
use testbed::{Port, Process};
use tokio::net::TcpStream;

use super::{Newcomer, Tool, run};
use crate::house::PATIENCE;

/// The item of the sale that the shop has made.
async fn item(shop: &Newcomer) -> String {
    let mut gateway = GatewayServiceClient::new(shop.dev.channel("gateway"));
    let sales = gateway.list_sales(ListSalesRequest::default()).await.expect("it is there");
    let sale_id = sales.into_inner().sales.remove(0).sale_id;
    let sale = gateway.get_sale(GetSaleRequest { sale_id }).await.expect("it was listed");
    sale.into_inner().sale.expect("an answer has a sale").items.remove(0).item_id
}

async fn events_come_through(settings: &str) {
    let Some(nginx) = Tool::find("nginx") else { return };
    let shop = Newcomer::open().await;
    let (place, port) = (tempfile::tempdir().expect("it can be made"), Port::claim());
    let (dir, at) = (place.path().display(), format!("127.0.0.1:{}", port.number()));
    let upstream = shop.public();
    let text = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
         events {{}}
         http {{
           access_log off; {settings}
           client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
           fastcgi_temp_path {dir}/fcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
           server {{ listen {at}; location / {{ proxy_pass http://{upstream}; }} }}
         }}"
    );
    let (conf, log) = (place.path().join("nginx.conf"), place.path().join("log"));
    fs::write(&conf, text).expect("it can be written");
    let mut process = Process::new(nginx.program, ["-c".into(), conf.into_os_string()], log);
    process.start(PATIENCE, async || TcpStream::connect(&at).await.is_ok()).await;

    let url = format!("http://{at}/v1/items/{}/events", item(&shop).await);
    // It hangs up before the first comment that keeps a silent stream alive.
    let read = ["--silent", "--no-buffer", "--compressed", "--include", "--max-time", "3", &url];
    let told = run(place.path(), "curl", &read).await.answer;
    assert!(told.contains(": begun") && told.contains("event: stock"), "{told}");
    let is_compressed = told.to_lowercase().contains("content-encoding: gzip");
    assert_eq!(is_compressed, !settings.is_empty(), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_at_once_through_its_defaults() {
    events_come_through("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_at_once_where_gzip_is_on() {
    events_come_through("gzip on; gzip_proxied any; gzip_min_length 0; gzip_types *;").await;
}
