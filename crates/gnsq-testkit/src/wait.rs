//! Waiting for what has no event, with an end.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// How long the testkit waits for anything: 30 seconds, which no busy machine needs and no stuck test outlives.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until there is an answer, and returns it.
///
/// For the state of real servers, of which nothing gives notice. Where there is an event, wait for that.
///
/// # Panics
///
/// With `description`, if there is no answer within `deadline`.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut asked = 0;
/// let answer = gnsq_testkit::eventually(Duration::from_secs(30), "a third question", async || {
///     asked += 1;
///     (asked == 3).then_some("answer")
/// })
/// .await;
/// assert_eq!(answer, "answer");
/// # }
/// ```
pub async fn eventually<T>(deadline: Duration, description: &str, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let answer = async {
        loop {
            if let Some(answer) = poll().await {
                return answer;
            }
            sleep(POLL_INTERVAL).await;
        }
    };
    let Ok(answer) = timeout(deadline, answer).await else {
        panic!("waited {deadline:?} in vain for {description}");
    };
    answer
}

/// Short enough not to slow a test down, long enough to leave the machine to the server it waits for.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "in vain for the moon")]
    async fn a_missed_deadline_names_what_was_awaited() {
        eventually(Duration::from_millis(10), "the moon", async || None::<()>).await;
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for an answer")]
    async fn a_poll_that_never_returns_misses_the_deadline_too() {
        eventually(Duration::from_millis(10), "an answer", async || std::future::pending::<Option<()>>().await).await;
    }
}
