//! gRPC reflection, v1 and v1alpha: generic clients list and describe what a server offers.

use tonic::service::Routes;
use tonic_reflection::server::Builder;

/// Descriptors that can't be decoded: a fault of the build.
#[derive(Debug, thiserror::Error)]
#[error("the descriptor sets for reflection can't be used: {0}")]
pub struct BadDescriptors(#[from] tonic_reflection::server::Error);

/// Routes with both reflection services over the encoded `descriptor_sets`. Add a service's own
/// routes to a clone of them for each core.
///
/// # Errors
/// If a set can't be decoded.
pub fn reflection(descriptor_sets: &[&[u8]]) -> Result<Routes, BadDescriptors> {
    Ok(Routes::new(builder(descriptor_sets).build_v1()?)
        .add_service(builder(descriptor_sets).build_v1alpha()?))
}

fn builder<'a>(descriptor_sets: &[&'a [u8]]) -> Builder<'a> {
    descriptor_sets.iter().fold(Builder::configure(), |builder, set| {
        builder.register_encoded_file_descriptor_set(set)
    })
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::FILE_DESCRIPTOR_SET;
    use tonic_reflection::pb::{v1, v1alpha};

    use super::*;
    use crate::channel::{ChannelSettings, connect_lazy};
    use crate::cores::Cores;
    use crate::server::{Listeners, ServerSettings, serve};
    use crate::stop::Stopper;
    use crate::tasks::TaskOwner;

    /// Asks the server behind `$channel`, in version `$version`, which services it has.
    macro_rules! services {
        ($version:ident, $channel:expr) => {{
            use $version::server_reflection_client::ServerReflectionClient;
            use $version::server_reflection_request::MessageRequest;
            use $version::server_reflection_response::MessageResponse;
            let request = $version::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let requests = futures::stream::iter([request]);
            let mut client = ServerReflectionClient::new($channel);
            let answers = client.server_reflection_info(requests).await.expect("a stream");
            let answer = answers.into_inner().message().await.expect("flows").expect("an answer");
            match answer.message_response.expect("a response") {
                MessageResponse::ListServicesResponse(list) => {
                    list.service.into_iter().map(|one| one.name).collect::<Vec<_>>()
                }
                other => panic!("not a list: {other:?}"),
            }
        }};
    }

    #[tokio::test]
    async fn both_versions_list_the_services() {
        let cores = Cores::start(1).expect("a core");
        let owner = TaskOwner::new("bakery", Stopper::new());
        let listeners = Listeners::bind(([127, 0, 0, 1], 0).into(), 1).expect("a free port");
        let address = format!("http://{}", listeners.addr());
        let routes = reflection(&[FILE_DESCRIPTOR_SET]).expect("descriptors");
        let settings = ServerSettings::default();
        serve(&owner.tasks(), &cores, listeners, &settings, |_core| routes.clone());
        let settings = ChannelSettings::default();
        let channel = connect_lazy(cores.background(), &address, &settings).expect("a URL");
        for names in [services!(v1, channel.clone()), services!(v1alpha, channel.clone())] {
            assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
        }
    }

    #[test]
    fn broken_descriptors_are_refused() {
        assert!(reflection(&[b"no descriptors"]).is_err());
    }
}
