//! An HTTP proxy with `CONNECT`, for `proxy-url` and `HTTPS_PROXY`.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::runtime;

/// Opens the tunnels that clients ask for, and records their targets.
pub struct ConnectProxy {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
    accepting: AbortHandle,
}

impl ConnectProxy {
    pub fn start() -> ConnectProxy {
        let targets = Arc::new(Mutex::new(Vec::new()));
        let (listener, address) = runtime::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("a bound address");
            (listener, address)
        });
        let accepting = runtime::handle().spawn(accept(listener, Arc::clone(&targets)));
        ConnectProxy { address, targets, accepting: accepting.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The `host:port` of every tunnel so far.
    pub fn targets(&self) -> Vec<String> {
        self.targets.lock().expect("nobody panics while noting a target").clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, targets: Arc<Mutex<Vec<String>>>) {
    // Dropped with this task, and every tunnel with it.
    let mut tunnels = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        tunnels.spawn(tunnel(client, Arc::clone(&targets)));
        while tunnels.try_join_next().is_some() {}
    }
}

/// Serves one client. An error on either side only ends the tunnel.
async fn tunnel(client: TcpStream, targets: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut request = String::new();
    client.read_line(&mut request).await?;
    let mut header = String::new();
    while client.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let mut words = request.split_whitespace();
    let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
        return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n").await;
    };
    targets.lock().expect("nobody panics while noting a target").push(target.to_owned());
    // Tests stay on this machine, and to look up an unknown name can take long.
    if !target.starts_with("127.0.0.1:") {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(target).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
