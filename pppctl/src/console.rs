//! One conversation with `pppoed`, over as many connections as it takes.

use ppp_ipc::control::{Request, Response, ServerHello};

use crate::{
    answer::{Answer, Collector},
    connection::ConnectionOptions,
    error::Error,
    transport::{self, Client},
    wait::Wait,
};

/// Connects when there is something to ask, and again when the connection was lost meanwhile.
pub(crate) struct Console {
    options: ConnectionOptions,
    client: Option<Client>,
}

impl Console {
    /// Not yet connected.
    pub(crate) fn new(options: ConnectionOptions) -> Self {
        Self { options, client: None }
    }

    /// How `pppoed` is reached.
    pub(crate) fn options(&self) -> &ConnectionOptions {
        &self.options
    }

    /// What the server said of itself; connects if need be.
    pub(crate) fn server(&mut self) -> Result<ServerHello, Error> {
        Ok(self.client()?.server().clone())
    }

    /// Hangs up; the next request connects again.
    pub(crate) fn hang_up(&mut self) {
        self.client = None;
    }

    /// Sends a request and collects its answer.
    pub(crate) fn call(&mut self, request: Request) -> Result<Answer, Error> {
        let mut collector = Collector::new(request.clone());
        let mut answer = None;
        let reads_files = matches!(
            request,
            Request::Reload { .. }
                | Request::Policy(_)
                | Request::ShowConfigDiff
                | Request::WritePolicy { .. }
        );
        let wait = if reads_files { Wait::Patiently } else { Wait::Timeout };
        self.exchange(&request, wait, |response| {
            answer = collector.push(response)?;
            Ok(answer.is_some())
        })?;
        // `exchange` succeeds with an answer only.
        answer.ok_or(Error::Transport(transport::Error::Closed))
    }

    /// Sends a request and hands out the pieces of its answer until `take` says that it was the last.
    pub(crate) fn exchange(
        &mut self,
        request: &Request,
        wait: Wait,
        mut take: impl FnMut(Response) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let result = self.pieces(request, wait, &mut take);
        if result.is_err() {
            // The rest of this answer may be on its way, so nothing else can be asked on this connection.
            self.client = None;
        }
        result
    }

    fn pieces(
        &mut self,
        request: &Request,
        wait: Wait,
        take: &mut dyn FnMut(Response) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut piece = self.begin(request, wait)?;
        while !take(piece)? {
            piece = self.client()?.receive(wait)?;
        }
        Ok(())
    }

    /// Sends a request and waits for the first piece of its answer.
    ///
    /// A server that was restarted since the last request, or tired of waiting for one, is connected to again.
    fn begin(&mut self, request: &Request, wait: Wait) -> Result<Response, Error> {
        let reused = self.client.is_some();
        let (sent, first) = match self.client()?.send(request) {
            Ok(()) => (true, self.client()?.receive(wait)),
            Err(error) => (false, Err(error)),
        };
        match first {
            // Whether the server did what it was sent before it hung up is not known: what changes something is not
            // sent twice.
            Err(error) if reused && error.is_hang_up() && (!sent || request.is_read_only()) => {
                self.client = None;
                let client = self.client()?;
                client.send(request)?;
                Ok(client.receive(wait)?)
            }
            first => Ok(first?),
        }
    }

    fn client(&mut self) -> Result<&mut Client, Error> {
        match &mut self.client {
            Some(client) => Ok(client),
            none => Ok(none.insert(Client::connect(&self.options.socket, self.options.timeout)?)),
        }
    }
}
