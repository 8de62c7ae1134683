//! What all ratios refer to: the barest tonic server on the runtimes that ours have, one listener
//! and one current-thread runtime a core, whose handler gives back what it got. No layer, no limit,
//! no identity. It runs as a process of its own, as the shop does.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chassis::{Cores, Kind, Stopper, TaskOwner};
use futures::future::BoxFuture;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::Server,
};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::failure::{Failure, failed};

/// The path of its one call.
pub(crate) const METHOD: &str = "/bench.Echo/Echo";

const BACKLOG: i32 = 1024;
const END_WITHIN: Duration = Duration::from_secs(2);

/// What goes to and fro.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) bytes: Bytes,
}

/// Serves until the process is killed. Says where before.
pub(crate) async fn serve(cores: usize, say: impl Fn(SocketAddr)) -> Result<(), Failure> {
    let cores = Cores::start(cores).map_err(failed("can't start threads"))?;
    let owner = TaskOwner::new("echo", Stopper::new());
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for core in cores.serving() {
        let listener = listen(address).map_err(failed("can't listen"))?;
        address = listener.local_addr().map_err(failed("can't listen"))?;
        owner.tasks().spawn_on(core, Kind::Essential, "server", async move {
            // Its end ends the process, and that is seen there.
            let _ = accept(listener).await;
        });
    }
    say(address);
    owner.essential_ended().await;
    cores.shutdown(END_WITHIN);
    Err(Failure("the echo has ended".into()))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn accept(listener: TcpListener) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed("listener"))?;
    let connections = futures::stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await;
        let accepted = accepted.and_then(|(io, _)| io.set_nodelay(true).map(|()| io));
        Some((accepted as std::io::Result<TcpStream>, listener))
    });
    Server::builder()
        .add_service(Echo)
        .serve_with_incoming(connections)
        .await
        .map_err(failed("the echo"))
}

/// What tonic generates for a service of one call.
#[derive(Debug, Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = ProstCodec::<Payload, Payload>::default();
            Ok(Grpc::new(codec).unary(GiveBack, request).await)
        })
    }
}

struct GiveBack;

impl UnaryService<Payload> for GiveBack {
    type Response = Payload;
    type Future = Ready<Result<Response<Payload>, Status>>;

    fn call(&mut self, request: Request<Payload>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}
