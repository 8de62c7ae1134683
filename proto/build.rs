//! Compiles the `.proto` files without `protoc`, and keeps their descriptors for reflection.

#![expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts by the environment")]

use std::{error::Error, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 7] = [
    "seckill/error/v1/error_reason.proto",
    "seckill/user/v1/user.proto",
    "seckill/inventory/v1/catalog.proto",
    "seckill/inventory/v1/inventory.proto",
    "seckill/order/v1/order.proto",
    "seckill/gateway/v1/gateway.proto",
    "seckill/journal/v1/journal.proto",
];

/// Messages with secrets; `src/redacted.rs` prints their names only.
const REDACTED: [&str; 12] = [
    ".seckill.user.v1.RegisterRequest",
    ".seckill.user.v1.SignInRequest",
    ".seckill.user.v1.SignInResponse",
    ".seckill.user.v1.RefreshSessionRequest",
    ".seckill.user.v1.RefreshSessionResponse",
    ".seckill.user.v1.SignOutRequest",
    ".seckill.user.v1.IssueOperatorTokenResponse",
    ".seckill.user.v1.RehearsalShopper",
    ".seckill.gateway.v1.IssueTicketResponse",
    ".seckill.gateway.v1.PurchaseRequest",
    ".seckill.gateway.v1.GetOrderRequest",
    ".seckill.gateway.v1.WatchOrderRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=seckill");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").skip_debug(REDACTED).compile_fds(descriptors)?;
    Ok(())
}
