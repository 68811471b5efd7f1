//! tokio-nsq in the bench of gnsq: `WORK COUNT ADDRESS[,ADDRESS…] --NAME VALUE…` does the work and prints one line of JSON.

mod clock;
mod consume;
mod options;
mod publish;

use options::Options;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = Options::parse(&arguments).unwrap_or_else(|problem| {
        eprintln!("{problem}");
        std::process::exit(2);
    });
    match options.work.as_str() {
        "publish" => publish::each(&options).await,
        "multipublish" => publish::many(&options).await,
        "consume" | "first" => consume::run(&options).await,
        "round-trip" => consume::round_trip(&options).await,
        "idle" => consume::idle(&options).await,
        work => panic!("{work} is no work"),
    }
}
