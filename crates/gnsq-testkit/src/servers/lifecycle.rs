//! Stop, kill, pause and start again, for every server.

/// What every server can do as a process; `self.process` does it.
macro_rules! lifecycle {
    ($server:ident) => {
        impl $server {
            /// Where it takes HTTP, as `http://127.0.0.1:port`.
            pub fn http_url(&self) -> String {
                format!("http://{}", self.http_address())
            }

            /// Sends SIGTERM and waits until it has ended. Its data stays.
            ///
            /// Until it starts again, connections to its ports are refused, and nobody else is given them.
            ///
            /// # Panics
            ///
            /// If it takes longer than [`DEADLINE`](crate::DEADLINE).
            pub async fn stop(&mut self) {
                self.process.stop().await;
            }

            /// Sends SIGKILL and waits until it has ended: it saves nothing more.
            ///
            /// An nsqd writes new topics and channels to its `nsqd.dat` a moment after it has confirmed them, so it may
            /// not know the latest ones when it starts again.
            ///
            /// Until it starts again, connections to its ports are refused, and nobody else is given them.
            pub async fn kill(&mut self) {
                self.process.kill().await;
            }

            /// Starts it after [`stop`](Self::stop) or [`kill`](Self::kill): same arguments, same addresses, same
            /// data.
            ///
            /// # Panics
            ///
            /// If it is still running, or fails to start.
            pub async fn start_again(&mut self) {
                self.process.start_again().await;
            }

            /// [`stop`](Self::stop), then [`start_again`](Self::start_again).
            ///
            /// # Panics
            ///
            /// As those do.
            pub async fn restart(&mut self) {
                self.stop().await;
                self.start_again().await;
            }

            /// Freezes it with SIGSTOP: it keeps its connections and answers nothing.
            ///
            /// # Panics
            ///
            /// If it isn't running.
            pub fn pause(&self) {
                self.process.pause();
            }

            /// Ends [`pause`](Self::pause).
            ///
            /// # Panics
            ///
            /// If it isn't running.
            pub fn resume(&self) {
                self.process.resume();
            }

            /// Whether the process is there, be it frozen.
            pub fn is_running(&self) -> bool {
                self.process.is_running()
            }

            /// The process's id; the last one if it isn't running.
            pub fn pid(&self) -> u32 {
                self.process.pid()
            }

            /// The latest 2000 lines of its log, through all restarts.
            pub fn log(&self) -> String {
                self.process.log()
            }
        }

        impl std::fmt::Debug for $server {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($server)).field("pid", &self.pid()).finish_non_exhaustive()
            }
        }
    };
}
