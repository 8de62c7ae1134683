//! What a real server tells generic clients, in both versions.

use prost_types::{FileDescriptorProto, ServiceDescriptorProto};
use tonic_reflection::pb::{v1, v1alpha};

use super::*;
use crate::channel::{Balanced, ChannelSettings, connect_lazy};
use crate::cores::Cores;
use crate::server::bakery::{PATIENCE, WORDS};
use crate::server::{Listeners, ServerSettings, serve};
use crate::stop::Stopper;
use crate::tasks::{Drained, TaskOwner};
use crate::telemetry::Telemetry;

/// Asks the server behind `$channel`, in version `$version`, one question.
macro_rules! ask {
    ($version:ident, $channel:expr, $question:expr) => {{
        use $version::server_reflection_client::ServerReflectionClient;
        use $version::server_reflection_request::MessageRequest::*;
        use $version::server_reflection_response::MessageResponse;
        let request = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some($question),
        };
        let requests = futures::stream::iter([request]);
        let mut client = ServerReflectionClient::new($channel);
        let answers = client.server_reflection_info(requests).await.expect("a stream");
        let answer = answers.into_inner().message().await.expect("flows").expect("an answer");
        match answer.message_response.expect("a response") {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|one| one.name).collect::<Vec<_>>()
            }
            MessageResponse::FileDescriptorResponse(files) => {
                let files = files.file_descriptor_proto.iter();
                let names = files.map(|file| {
                    FileDescriptorProto::decode(&**file).expect("a descriptor").name().to_owned()
                });
                names.collect()
            }
            other => panic!("another answer: {other:?}"),
        }
    }};
}

/// A file with an empty service for each of the names.
fn file(name: &str, package: &str, imports: &[&str], services: &[&str]) -> FileDescriptorProto {
    let service = |name: &&str| ServiceDescriptorProto {
        name: Some((*name).to_owned()),
        ..ServiceDescriptorProto::default()
    };
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some(package.to_owned()),
        dependency: imports.iter().map(|import| (*import).to_owned()).collect(),
        service: services.iter().map(service).collect(),
        ..FileDescriptorProto::default()
    }
}

/// A shop that sells at its counter, and an oven in the back.
fn contract() -> Vec<u8> {
    let files = vec![
        file("shop.proto", "bakery.shop", &["bread.proto"], &["Counter", "Till"]),
        file("bread.proto", "bakery.bread", &["flour.proto"], &["Recipes"]),
        file("flour.proto", "bakery.flour", &[], &[]),
        file("oven.proto", "bakery.oven", &["flour.proto"], &["Oven"]),
        file("error.proto", "bakery.error", &[], &[]),
    ];
    FileDescriptorSet { file: files }.encode_to_vec()
}

#[test]
fn only_what_is_offered_and_its_imports_are_told() {
    let contract = contract();
    let offered = Offered {
        contract: &contract,
        services: &["bakery.shop.Counter"],
        packages: &["bakery.error"],
    };
    let told = files(offered).expect("a good contract").file;
    let names: Vec<_> = told.iter().map(FileDescriptorProto::name).collect();
    assert_eq!(names, ["shop.proto", "bread.proto", "flour.proto", "error.proto"]);
    let services: Vec<_> = told.iter().flat_map(|file| &file.service).collect();
    assert_eq!(services.iter().map(|one| one.name()).collect::<Vec<_>>(), ["Counter"]);
}

async fn open(owner: &TaskOwner, cores: &Cores) -> Balanced {
    open_with(owner, cores, &ServerSettings::default())
}

fn open_with(owner: &TaskOwner, cores: &Cores, settings: &ServerSettings) -> Balanced {
    let listeners = Listeners::bind(([127, 0, 0, 1], 0).into(), 1).expect("a free port");
    let address = format!("http://{}", listeners.addr());
    let contract = contract();
    let services = &["bakery.shop.Counter"];
    let routes = reflection(Offered { contract: &contract, services, packages: &[] });
    let routes = routes.expect("a good contract");
    serve(&owner.tasks(), cores, listeners, settings, WORDS, &Telemetry::off("bakery"), |_core| {
        routes.clone()
    });
    connect_lazy(cores.background(), &address, &ChannelSettings::default()).expect("a URL")
}

#[tokio::test]
async fn both_versions_list_what_is_served_with_health_and_find_error_details() {
    let cores = Cores::start(1).expect("a core");
    let owner = TaskOwner::new("bakery", Stopper::new());
    let channel = open(&owner, &cores).await;
    let lists = [
        (
            "grpc.reflection.v1.ServerReflection",
            ask!(v1, channel.clone(), ListServices(String::new())),
        ),
        (
            "grpc.reflection.v1alpha.ServerReflection",
            ask!(v1alpha, channel.clone(), ListServices(String::new())),
        ),
    ];
    for (itself, mut names) in lists {
        names.sort();
        assert_eq!(names, ["bakery.shop.Counter", "grpc.health.v1.Health", itself]);
    }
    for symbol in ["google.rpc.ErrorInfo", "google.rpc.BadRequest"] {
        let found = ask!(v1, channel.clone(), FileContainingSymbol(symbol.to_owned()));
        assert_eq!(found.len(), 1, "{symbol}");
    }
}

#[tokio::test]
async fn open_streams_end_with_the_stop_and_do_not_hold_it_up() {
    let cores = Cores::start(1).expect("a core");
    let owner = TaskOwner::new("bakery", Stopper::new());
    let channel = open(&owner, &cores).await;
    let mut v1 = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let open_end = futures::stream::pending();
    let mut v1 = v1.server_reflection_info(open_end).await.expect("a stream").into_inner();
    let mut v1alpha = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let open_end = futures::stream::pending();
    let mut v1alpha =
        v1alpha.server_reflection_info(open_end).await.expect("a stream").into_inner();
    assert_eq!(owner.drain(PATIENCE).await, Drained { left: 0 });
    assert_eq!(v1.message().await.expect("it ends in order"), None);
    assert_eq!(v1alpha.message().await.expect("it ends in order"), None);
}

/// What grpcurl does: one stream for all questions, open for as long as it runs.
#[tokio::test]
async fn a_server_that_takes_requests_whole_answers_a_stream_that_stays_open() {
    let cores = Cores::start(1).expect("a core");
    let owner = TaskOwner::new("bakery", Stopper::new());
    let settings = ServerSettings {
        request_bytes_max: Some(4096),
        body_idle_ms: 300,
        ..ServerSettings::default()
    };
    let channel = open_with(&owner, &cores, &settings);
    let (questions, asked) = futures::channel::mpsc::unbounded();
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(asked);
    let mut answers = answers.await.expect("a stream").into_inner();
    for _ in 0..2 {
        let question = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
                String::new(),
            )),
        };
        questions.unbounded_send(question).expect("it is open");
        let answer = answers.message().await.expect("flows");
        assert!(answer.expect("an answer").message_response.is_some());
    }
    assert_eq!(answers.message().await.expect("it ends in order"), None, "idle for too long");
}

#[test]
fn only_the_calls_of_both_versions_are_reflection() {
    let method = "ServerReflection/ServerReflectionInfo";
    assert!(is_reflection(&format!("/grpc.reflection.v1.{method}")));
    assert!(is_reflection(&format!("/grpc.reflection.v1alpha.{method}")));
    for other in ["/grpc.health.v1.Health/Check", "/v1/sales", method, "/grpc.reflection.v1"] {
        assert!(!is_reflection(other), "{other}");
    }
}

#[test]
fn broken_and_foreign_descriptors_are_refused() {
    let services = &["bakery.shop.Counter"];
    let broken = Offered { contract: b"no descriptors", services, packages: &[] };
    assert!(matches!(reflection(broken), Err(BadDescriptors::Unusable(_))));
    let empty = Offered { contract: b"", services, packages: &[] };
    let Err(BadDescriptors::NoService(name)) = reflection(empty) else { panic!("it lacks one") };
    assert_eq!(name, "bakery.shop.Counter");
}
