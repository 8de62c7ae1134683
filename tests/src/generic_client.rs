//! A gRPC client that knows no message of the suite: it learns everything through reflection, as
//! grpcurl and graphical clients do, and speaks JSON to the test. If it can buy, so can they.

use std::collections::HashMap;

use futures::StreamExt as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MethodDescriptor, prost_types::FileDescriptorProto,
};
use serde_json::Value;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// See the module.
pub(crate) struct GenericClient {
    channel: Channel,
    pool: DescriptorPool,
    services: Vec<String>,
}

impl GenericClient {
    /// Lists the services and fetches the descriptors of all of them.
    pub(crate) async fn connect(url: &str) -> Self {
        let channel = Channel::from_shared(url.to_owned())
            .expect("the house gives a good URL")
            .connect()
            .await
            .expect("the house listens");
        let list = ask(&channel, MessageRequest::ListServices(String::new())).await;
        let MessageResponse::ListServicesResponse(list) = list else {
            panic!("asked for services, got {list:?}");
        };
        let services: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        let mut files = HashMap::new();
        for service in &services {
            let symbol = MessageRequest::FileContainingSymbol(service.clone());
            collect(&channel, symbol, &mut files).await;
        }
        // `google/rpc/error_details.proto` is named by no file: generic clients that want to read
        // error details look its messages up by name.
        let details = MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".to_owned());
        collect(&channel, details, &mut files).await;
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_protos(files.into_values()).expect("the descriptors are complete");
        Self { channel, pool, services }
    }

    /// Full names of the services.
    pub(crate) fn services(&self) -> &[String] {
        &self.services
    }

    /// Names of a service's methods.
    pub(crate) fn methods(&self, service: &str) -> Vec<String> {
        let service = self.pool.get_service_by_name(service).expect("a listed service");
        service.methods().map(|method| method.name().to_owned()).collect()
    }

    /// Whether a message of this name could be decoded.
    pub(crate) fn knows_message(&self, name: &str) -> bool {
        self.pool.get_message_by_name(name).is_some()
    }

    /// One call; for a streaming method, its first message.
    pub(crate) async fn call(
        &self,
        service: &str,
        method: &str,
        body: Value,
        bearer: Option<&str>,
    ) -> Result<Value, Status> {
        let descriptor = self.pool.get_service_by_name(service).expect("a listed service");
        let descriptor = descriptor
            .methods()
            .find(|candidate| candidate.name() == method)
            .expect("a method of the service");
        let message = DynamicMessage::deserialize(descriptor.input(), body)
            .expect("the JSON fits the message that reflection describes");
        let mut request = Request::new(message);
        if let Some(token) = bearer {
            let value = format!("Bearer {token}").parse().expect("tokens are ASCII");
            request.metadata_mut().insert("authorization", value);
        }
        let path = format!("/{service}/{method}").parse().expect("names make a path");
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut answers =
            grpc.server_streaming(request, path, Dynamic(descriptor)).await?.into_inner();
        let answer = answers.next().await.expect("an answer or a status")?;
        Ok(serde_json::to_value(&answer).expect("messages have a JSON form"))
    }
}

/// Asks for one symbol or file and, for each file that comes, for what it imports.
async fn collect(
    channel: &Channel,
    first: MessageRequest,
    files: &mut HashMap<String, FileDescriptorProto>,
) {
    let mut open = vec![first];
    while let Some(request) = open.pop() {
        let MessageResponse::FileDescriptorResponse(answer) = ask(channel, request).await else {
            panic!("asked for a file, got something else");
        };
        for bytes in answer.file_descriptor_proto {
            let file: FileDescriptorProto =
                prost_reflect::prost::Message::decode(&*bytes).expect("a file descriptor");
            let name = file.name().to_owned();
            let imports = file.dependency.clone();
            files.insert(name, file);
            let unknown = imports.into_iter().filter(|import| !files.contains_key(import));
            open.extend(unknown.map(MessageRequest::FileByFilename));
        }
    }
}

async fn ask(channel: &Channel, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client
        .server_reflection_info(futures::stream::iter([request]))
        .await
        .expect("reflection is served")
        .into_inner();
    let answer = answers.next().await.expect("one answer for each question").expect("no status");
    answer.message_response.expect("an answer has a content")
}

struct Dynamic(MethodDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost_reflect::prost::Message::encode(&item, into)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.output(), from)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
