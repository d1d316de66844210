//! The allocator of the process.
//!
//! A compaction, a snapshot or a large query takes tens of MiB on several threads for a moment; with the system's allocator a small
//! allocation that stays behind pins what lies around it, in the heap of each thread for itself, so that a service with 1.4 GB in use
//! had 2.4 GB from the system. jemalloc keeps sizes apart, and a thread of its own gives back what has been free for some seconds.
//! It serves the C libraries as well.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Duration, Instant};

    /// Anonymous memory of this process, KiB.
    fn held() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("linux");
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("linux");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }

    #[test]
    fn what_a_small_allocation_pins_goes_back() {
        // Every hundredth of them stays.
        let mut pieces: Vec<Option<Vec<u8>>> = (0..64_000).map(|_| Some(vec![1; 8 << 10])).collect();
        let full = held();
        for (at, piece) in pieces.iter_mut().enumerate() {
            if at % 100 != 99 {
                *piece = None;
            }
        }
        let began = Instant::now();
        // Other tests allocate at the same time; of these 500 MiB most must go.
        while full - held().min(full) < 250_000 {
            assert!(began.elapsed() < Duration::from_secs(60), "{full} KiB before, {} KiB after", held());
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(pieces.iter().flatten().map(|piece| piece.len()).sum::<usize>(), 640 * (8 << 10));
    }
}
