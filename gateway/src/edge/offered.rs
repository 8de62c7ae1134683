//! What reflection tells of: the services of this door and no other. The contract describes all
//! services of the suite, and one that isn't served here must not be listed here.

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Packages of the contract that the public has a use for.
const PACKAGES: [&str; 3] = ["seckill.error.v1", "seckill.gateway.v1", "seckill.user.v1"];

/// Full names of the services that are served.
const SERVICES: [&str; 2] = ["seckill.gateway.v1.GatewayService", "seckill.user.v1.UserService"];

/// The contract without what isn't offered here.
pub(crate) fn descriptors() -> Vec<u8> {
    let all = FileDescriptorSet::decode(proto::DESCRIPTORS);
    let mut offered = all.expect("the build has encoded them");
    offered.file.retain(|file| {
        let package = file.package();
        PACKAGES.contains(&package) || package.starts_with("google.")
    });
    for file in &mut offered.file {
        let package = file.package().to_owned();
        file.service.retain(|service| {
            let full_name = format!("{package}.{}", service.name());
            SERVICES.contains(&full_name.as_str())
        });
    }
    offered.encode_to_vec()
}
