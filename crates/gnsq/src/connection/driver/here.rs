//! Sends a lone publish, or the FIN of all that is in flight, on the thread that has it.

use std::time::Instant;

use bytes::Buf;

use super::Driver;

impl Driver {
    /// Does what was asked for and sends it, if nothing is under way that it could share a write with. Returns whether
    /// nothing is left for the task: it has to wait for the socket, to end, and to wait for times that are nearer than those it
    /// waits for.
    pub(in crate::connection) fn send_here(&mut self) -> bool {
        if !self.is_quiet() {
            return false;
        }
        let now = Instant::now();
        let are_common = self.do_ops(now);
        self.send_due(now);
        let is_sent = self.write_here();
        self.publish_counts();
        is_sent && are_common && self.next_timeout().is_none_or(|next| !self.is_early(next))
    }

    fn is_quiet(&mut self) -> bool {
        self.stream.takes_at_once()
            && self.protocol.outstanding() == 0
            && self.protocol.output().is_empty()
            && self.failed_write.is_none()
            && !self.shut
    }

    /// Whether all has left.
    fn write_here(&mut self) -> bool {
        let output = self.protocol.output();
        if output.remaining() > MOST {
            return false;
        }
        if let Err(error) = self.stream.try_send(output) {
            self.failed_write = Some(error);
            return false;
        }
        self.tell_flushed();
        self.protocol.output().is_empty()
    }
}

/// More is not copied into the socket on somebody's own thread, who may have others wait: an event loop's, a lock's.
const MOST: usize = 256 * 1024;
