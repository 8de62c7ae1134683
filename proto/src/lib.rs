//! The contract: what the services promise each other and their clients, generated from the
//! `.proto` files beside this crate. The modules mirror the packages. Nothing here decides
//! anything, and only the rims of the services (`grpc`, `edge`, `upstream`) and the journal's codec
//! may name it.

#![allow(
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    reason = "generated; documented in the .proto files"
)]

/// `seckill.*`.
pub mod seckill {
    pub mod error {
        pub mod v1 {
            tonic::include_proto!("seckill.error.v1");
        }
    }
    pub mod user {
        pub mod v1 {
            tonic::include_proto!("seckill.user.v1");
        }
    }
    pub mod inventory {
        pub mod v1 {
            tonic::include_proto!("seckill.inventory.v1");
        }
    }
    pub mod order {
        pub mod v1 {
            tonic::include_proto!("seckill.order.v1");
        }
    }
    pub mod gateway {
        pub mod v1 {
            tonic::include_proto!("seckill.gateway.v1");
        }
    }
    pub mod journal {
        pub mod v1 {
            tonic::include_proto!("seckill.journal.v1");
        }
    }
}

mod redacted;

pub use seckill::{error, gateway, inventory, journal, order, user};

/// Descriptors of all packages, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The `domain` of every `google.rpc.ErrorInfo` of the suite.
pub const ERROR_DOMAIN: &str = "seckill";

/// The text that stands in `google.rpc.ErrorInfo.reason`: the enum value's name without its prefix.
pub fn reason_text(reason: error::v1::ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// The text that stands in a token's claim `scope` and in the metadata `right` of a refusal: the
/// enum value's name without its prefix.
pub fn right_text(right: user::v1::OperatorRight) -> &'static str {
    let name = right.as_str_name();
    name.strip_prefix("OPERATOR_RIGHT_").unwrap_or(name)
}
