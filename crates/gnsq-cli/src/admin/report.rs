//! What became of a change, server by server.

use std::fmt::Write;

use serde::Serialize;

use crate::cluster::{Step, StepResult, Target};
use crate::exit::{Exit, Failure};
use crate::output;

#[derive(Serialize)]
struct Line<'a> {
    server: &'a str,
    address: &'a str,
    action: &'a str,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Prints a line for each step. Returns how it went altogether.
pub(super) fn print(steps: &[Step], target: &Target, json: bool) -> Result<Exit, Failure> {
    let text = if json { json_lines(steps, target)? } else { lines(steps, target, output::colours_stdout()) };
    if let Err(error) = output::print(text) {
        output::write_failed(&error)?;
    }
    Ok(exit(steps))
}

fn exit(steps: &[Step]) -> Exit {
    let done = steps.iter().any(|step| matches!(step.result, StepResult::Done));
    let failed = steps.iter().any(|step| matches!(step.result, StepResult::Failed(_)));
    match (done, failed) {
        (true, false) => Exit::Done,
        (true, true) => Exit::Partial,
        (false, _) => Exit::Failed,
    }
}

fn lines(steps: &[Step], target: &Target, colour: bool) -> String {
    let mut text = String::new();
    for Step { server, address, action, result } in steps {
        let (word, sgr, reason) = match result {
            StepResult::Done => ("done", "32", String::new()),
            StepResult::Absent => ("absent", "33", String::new()),
            StepResult::Failed(error) => ("FAILED", "31", format!(": {error}")),
        };
        let padding = " ".repeat(7 - word.len());
        let word = if colour { format!("\x1b[{sgr}m{word}\x1b[0m") } else { word.to_owned() };
        // Writing to a string can't fail.
        let _ = writeln!(text, "{word}{padding}{action} {target} on {server} {address}{reason}");
    }
    text
}

fn json_lines(steps: &[Step], target: &Target) -> Result<String, Failure> {
    let mut text = String::new();
    for Step { server, address, action, result } in steps {
        let (result, error) = match result {
            StepResult::Done => ("done", None),
            StepResult::Absent => ("absent", None),
            StepResult::Failed(error) => ("failed", Some(error.to_string())),
        };
        let (topic, channel) = (target.topic().as_str(), target.channel().map(AsRef::as_ref));
        let line = Line { server, address, action, topic, channel, result, error };
        text += &serde_json::to_string(&line).map_err(Failure::failed)?;
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use gnsq::http::HttpError;
    use gnsq::{ChannelName, TopicName};

    use super::*;

    fn step(result: StepResult) -> Step {
        Step { server: "nsqd", address: "http://a:4151/".to_owned(), action: "pause", result }
    }

    fn failure() -> StepResult {
        StepResult::Failed(HttpError::Status { url: "http://a:4151/".to_owned(), status: 500, code: "X".to_owned() })
    }

    fn target() -> Target {
        Target::Channel(TopicName::new("t").unwrap(), ChannelName::new("c").unwrap())
    }

    #[test]
    fn the_exit_tells_all_from_some_from_nothing() {
        use StepResult::{Absent, Done};
        assert_eq!(exit(&[step(Done), step(Absent)]), Exit::Done);
        assert_eq!(exit(&[step(Done), step(failure())]), Exit::Partial);
        assert_eq!(exit(&[step(failure())]), Exit::Failed);
        assert_eq!(exit(&[step(Absent)]), Exit::Failed);
        assert_eq!(exit(&[]), Exit::Failed);
    }

    #[test]
    fn each_server_has_a_line() {
        let steps = [step(StepResult::Done), step(StepResult::Absent), step(failure())];
        assert_eq!(
            lines(&steps, &target(), false),
            "done   pause channel c of topic t on nsqd http://a:4151/\n\
             absent pause channel c of topic t on nsqd http://a:4151/\n\
             FAILED pause channel c of topic t on nsqd http://a:4151/: http://a:4151/ answered 500 X\n"
        );
        assert!(lines(&steps, &target(), true).starts_with("\x1b[32mdone\x1b[0m   pause"));
    }

    #[test]
    fn each_server_has_an_object() {
        assert_eq!(
            json_lines(&[step(failure())], &target()).unwrap(),
            "{\"server\":\"nsqd\",\"address\":\"http://a:4151/\",\"action\":\"pause\",\"topic\":\"t\",\"channel\":\"c\",\
             \"result\":\"failed\",\"error\":\"http://a:4151/ answered 500 X\"}\n"
        );
    }
}
