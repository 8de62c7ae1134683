//! A call on its way through the stack: what was asked, by whom as far as that is known by now, and
//! what the transport said about the caller. Each layer hands on a value that says what it has
//! checked, and only that layer can make it.

use std::net::IpAddr;

use tonic::{Extensions, Request, metadata::MetadataMap};

use crate::{
    identity::Authenticated,
    layers::{adaptive::Place, client_address::ClientAddress, shares::Share},
};

/// What came with a call.
#[derive(Debug)]
pub(crate) struct Caller {
    metadata: MetadataMap,
    extensions: Extensions,
    /// Given back when the call ends, unless its work takes it along.
    pub(crate) room: Room,
}

/// What a purchase takes up of its core, free again when this is dropped. It belongs to the work,
/// not to whoever waits for it: who leaves early has no more under way for that.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) share: Option<Share>,
    pub(crate) place: Option<Place>,
}

/// A call of which nothing is checked.
#[derive(Debug)]
pub(crate) struct Call<M> {
    pub(crate) caller: Caller,
    pub(crate) message: M,
}

/// A call of a buyer who showed a token that holds.
#[derive(Debug)]
pub(crate) struct Known<M> {
    pub(crate) caller: Caller,
    pub(crate) buyer: Authenticated,
    /// Their network has paid for this call already: their token had to be checked.
    pub(crate) has_network_paid: bool,
    pub(crate) message: M,
}

impl Caller {
    /// The headers.
    pub(crate) fn metadata(&self) -> &MetadataMap {
        &self.metadata
    }

    /// What the layers below us have left.
    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Where the call came from, as far as our own proxies can be believed.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.extensions.get().map(|ClientAddress(address)| *address)
    }
}

impl<M> From<Request<M>> for Call<M> {
    fn from(request: Request<M>) -> Self {
        let (metadata, extensions, message) = request.into_parts();
        Self { caller: Caller { metadata, extensions, room: Room::default() }, message }
    }
}

impl<M> Call<M> {
    /// The same call, of something else.
    pub(crate) fn with<T>(self, message: T) -> Call<T> {
        Call { caller: self.caller, message }
    }
}
