//! Chance from a seed, and seeds on all processors.

/// The same seed gives the same throws (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to, not including, `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end.max(1) as u64) as usize
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// Runs `each` for every seed, on all processors. `CALLPULSE_SEED` runs that one only; `CALLPULSE_SEEDS` says how many
/// there are in place of `usual`. Returns how many were run.
pub(super) fn for_seeds(usual: u64, each: impl Fn(u64) + Sync) -> u64 {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    if let Some(seed) = number("CALLPULSE_SEED") {
        each(seed);
        return 1;
    }
    let seeds = number("CALLPULSE_SEEDS").unwrap_or(usual);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let each = &each;
                scope.spawn(move || {
                    for seed in (thread..seeds).step_by(threads as usize) {
                        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| each(seed)));
                        if let Err(panic) = told {
                            eprintln!("seed {seed} failed: CALLPULSE_SEED={seed} tells it again");
                            std::panic::resume_unwind(panic);
                        }
                    }
                })
            })
            .collect();
        for thread in running {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    seeds
}
