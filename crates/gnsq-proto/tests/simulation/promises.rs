//! What holds at every moment.

use std::time::Duration;

use gnsq_proto::Phase;

use super::World;

#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// When `max_in_flight` was lowered last: what was in flight then may exceed it until it is answered.
    pub(crate) lowered_at: Duration,
    exceeds: bool,
    /// Since when it doesn't, though it did: a message may still be on its way from where the share is gone.
    fits_since: Option<Duration>,
    /// When a share was lowered, and by how much.
    pub(crate) taken: Vec<(Duration, u32)>,
    /// Since when there could have been a share for someone, and was none.
    stuck_since: Option<Duration>,
}

impl World {
    /// Fails if a promise is broken now.
    pub(crate) fn check(&mut self) {
        let (mut rdy, mut rdys, mut shares, mut in_flight, mut load, mut count) = (0, 0, 0, 0, 0, 0);
        for (node, connection) in self.connections.iter().enumerate() {
            let Some(connection) = connection else { continue };
            count += 1;
            in_flight += connection.in_flight;
            let share = connection.window.share();
            shares += share;
            load += share.max(connection.in_flight);
            rdys += u32::from(connection.window.rdy() > 0);
            rdy += connection.window.rdy();
            assert!(connection.window.rdy() <= share, "RDY {} of {share}", connection.window.rdy());
            assert!(share <= self.nodes[node].max_rdy_count);
        }
        assert!(rdy <= shares && shares <= self.max_in_flight, "RDY {rdy}, shares {shares} of {}", self.max_in_flight);
        assert_eq!(shares, self.plan.total(), "the windows know of all changes");

        let blocked = matches!(self.backoff.phase(), Phase::Waiting { .. });
        if self.paused || blocked {
            assert_eq!(rdy, 0, "RDY while paused or in backoff");
        }
        if self.backoff.phase() == Phase::Probing {
            assert!(rdys <= 1 && shares <= 1, "{rdys} connections probed with {shares}");
        }

        // What is in flight, and what may be, keeps to the maximum, too: nsqd's last messages by an old RDY are given
        // time to come, which is enough at a round trip of less than the settle time.
        let settle = self.settings.settle;
        let lowered = self.now <= self.promises.lowered_at + settle;
        if load <= self.max_in_flight {
            let since = *self.promises.fits_since.get_or_insert(self.now);
            self.promises.exceeds &= lowered || self.now <= since + settle;
        } else {
            assert!(
                self.promises.exceeds || lowered,
                "{in_flight} in flight, {load} with shares, of {}",
                self.max_in_flight
            );
            self.promises.exceeds = true;
            self.promises.fits_since = None;
        }

        let may_take = !self.paused && !blocked && self.max_in_flight > 0 && count > 0;
        if may_take && shares == 0 && in_flight < self.max_in_flight {
            let since = *self.promises.stuck_since.get_or_insert(self.now);
            let longest = self.settings.settle.max(self.settings.slice);
            assert!(self.now <= since + longest, "nobody has a share since {since:?}, now {:?}", self.now);
        } else {
            self.promises.stuck_since = None;
        }
    }
}
