//! Which nsqd a publish goes to.

/// Which nsqd a publish goes to: among those that are connected, and that no [breaker](crate::BreakerState) and no
/// [stall](crate::ProducerBuilder::stall_timeout) leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Routing {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The first that can be used, in the order given: the others are spares. Those found through nsqlookupd come
    /// after those named, in the order of their addresses.
    FirstHealthy,
    /// The one with the fewest publishes under way, one after the other where there are several such.
    LeastOutstanding,
    /// The same one for the same [key](crate::PublishOptions::key), by rendezvous hashing: a key stays with its nsqd while
    /// that can be used, goes elsewhere while it can't, and comes back. Another nsqd takes over a part of the keys and
    /// changes nothing for the others. A publish without a key goes to one after the other.
    ///
    /// nsqd promises no order; a key's messages are merely in one place.
    ByKey,
}

/// A hash that is the same in every process and version: a key is to stay where it is.
pub(super) fn stable_hash(bytes: &[u8]) -> u64 {
    // FNV-1a, and a finalizer that lets every bit of the input change every bit of the output.
    mix(bytes.iter().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)))
}

/// How much a key belongs to an nsqd: it goes to the one with the most.
pub(super) fn weight(nsqd: u64, key: u64) -> u64 {
    mix(nsqd ^ key.rotate_left(32))
}

/// The finalizer of `SplitMix64`.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(nsqds: &[u64], key: u64) -> u64 {
        nsqds.iter().copied().max_by_key(|nsqd| weight(*nsqd, key)).unwrap()
    }

    fn nsqds(count: u64) -> Vec<u64> {
        (0..count).map(|number| stable_hash(format!("10.0.0.{number}:4150").as_bytes())).collect()
    }

    #[test]
    fn each_nsqd_has_its_part_of_the_keys() {
        let nsqds = nsqds(7);
        let mut parts = std::collections::HashMap::<u64, u32>::new();
        for key in 0..70_000_u32 {
            *parts.entry(owner(&nsqds, stable_hash(&key.to_be_bytes()))).or_default() += 1;
        }
        assert!(nsqds.iter().all(|nsqd| (9_500..10_500).contains(&parts[nsqd])), "{parts:?}");
    }

    #[test]
    fn only_the_keys_of_an_nsqd_that_goes_change_their_place() {
        let all = nsqds(5);
        let (gone, rest) = all.split_last().unwrap();
        for key in 0..10_000_u32 {
            let key = stable_hash(&key.to_be_bytes());
            let before = owner(&all, key);
            assert!(before == *gone || owner(rest, key) == before);
        }
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(stable_hash(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(stable_hash(b"127.0.0.1:4150"), 0x327b_a190_0c76_4f4e);
    }
}
