//! Max-min fair division.

/// How much each gets of something that is divided max-min fairly: what it demands if that is no more than `base`,
/// else `base`, and `extra` of these one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) base: u32,
    pub(super) extra: u32,
}

impl Level {
    /// The level at which `total` covers the demands as evenly as can be. Sorts them.
    pub(super) fn of(total: u32, demands: &mut [u32]) -> Self {
        demands.sort_unstable();
        let mut left = total;
        let mut sharers = u32::try_from(demands.len()).unwrap_or(u32::MAX);
        for demand in demands {
            if *demand > left / sharers {
                return Self { base: left / sharers, extra: left % sharers };
            }
            left -= *demand;
            sharers -= 1;
        }
        Self { base: u32::MAX, extra: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn divide(total: u32, demands: &[u32]) -> Vec<u32> {
        let mut level = Level::of(total, &mut demands.to_vec());
        let give = |demand: &u32| {
            let extra = u32::from(*demand > level.base && level.extra > 0);
            level.extra -= extra;
            demand.min(&level.base) + extra
        };
        demands.iter().map(give).collect()
    }

    #[test]
    fn the_remainder_is_handed_out() {
        assert_eq!(divide(9, &[2500; 6]), [2, 2, 2, 1, 1, 1]);
    }

    #[test]
    fn what_one_does_not_need_goes_to_the_others() {
        assert_eq!(divide(100, &[1, 2500, 10, 2500]), [1, 45, 10, 44]);
        assert_eq!(divide(100, &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(divide(0, &[1, 2]), [0, 0]);
        assert!(divide(7, &[]).is_empty());
    }

    proptest! {
        #[test]
        fn division_is_complete_and_fair(total in 0u32..6000, demands in prop::collection::vec(1u32..3000, 0..60)) {
            let given = divide(total, &demands);
            prop_assert_eq!(given.iter().sum::<u32>(), total.min(demands.iter().sum()));
            // Who got less than it demands got no less than anyone else, but for the remainder.
            let most = given.iter().copied().max().unwrap_or(0);
            for (given, demand) in given.iter().zip(&demands) {
                prop_assert!(given == demand || given + 1 >= most);
            }
        }
    }
}
