//! What other crates of the program turn on doesn't break the clients: here `gnsq-server`, which has reqwest speak TLS.

#![cfg(feature = "http")]

use gnsq::{LookupdClient, NsqdHttpClient};
use gnsq_server::{Nsqd, Nsqlookupd};

#[tokio::test]
async fn the_http_clients_work_beside_the_embedded_servers() {
    let nsqlookupd = Nsqlookupd::start().await.unwrap();
    let nsqd = Nsqd::builder().lookupd(&nsqlookupd).start().await.unwrap();
    assert!(LookupdClient::new(nsqlookupd.http_url()).unwrap().topics().await.unwrap().is_empty());
    NsqdHttpClient::new(nsqd.http_url()).unwrap().ping().await.unwrap();
}
