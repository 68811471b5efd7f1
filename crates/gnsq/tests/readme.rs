//! The README's test of a user, as it stands there.

use gnsq::{Consumer, Producer};
use gnsq_server::Nsqd;

#[tokio::test]
async fn an_order_arrives() -> Result<(), Box<dyn std::error::Error>> {
    let nsqd = Nsqd::start().await?;
    Producer::builder().nsqd(nsqd.tcp_address()).build()?.publish("orders", "one coffee").await?;

    let mut orders = Consumer::builder("orders", "kitchen").nsqd(nsqd.tcp_address()).build()?;
    let order = orders.recv().await.expect("an order");
    assert_eq!(order.body(), "one coffee");
    order.finish()?;
    Ok(())
}

#[test]
fn the_readme_has_this_test_as_it_is() {
    let readme = include_str!("../../../README.md");
    let source = include_str!("readme.rs");
    let test = &source[source.find("use gnsq").unwrap()..source.find("\n#[test]").unwrap()];
    assert!(readme.contains(&format!("```rust\n{test}```")), "the README's test has to be:\n{test}");
}
