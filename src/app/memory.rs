//! Gives the system back what the allocator keeps for nobody.
//!
//! glibc has a heap for each thread that allocates beside others, up to eight a core, and gives back only what lies at the end of
//! one. A compaction or a large query takes tens of MiB on several threads for a moment; a small allocation that stays behind
//! pins all of it, in each heap for itself. So there are fewer heaps, and now and then what is free inside them goes back.

#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(
        unsafe_code,
        reason = "two calls of glibc that take numbers; no other way leads to its allocator"
    )
)]

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How often free memory goes back. It takes some milliseconds, and what is needed again is asked for again.
const EVERY: Duration = Duration::from_secs(30);
/// Heaps for each core: threads that allocate at one moment are hardly more than cores, and two who meet wait a little.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS_PER_CORE: usize = 2;

/// Bounds the number of heaps, unless whoever started the process has said something about it. To be called before there are
/// threads.
pub(super) fn bound_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"].iter().all(|name| std::env::var_os(name).is_none()) {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        let heaps = i32::try_from(cores * HEAPS_PER_CORE).unwrap_or(i32::MAX);
        // SAFETY: takes two numbers and no memory of ours; what it does not understand it refuses.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, heaps) };
    }
}

/// Gives free memory back, again and again until `stop`.
pub(super) async fn give_back(stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        // It looks at every heap, so not on a thread that others wait for.
        let _ = tokio::task::spawn_blocking(trim).await;
    }
}

fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes a number, and gives back pages that hold no allocation.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Anonymous memory of this process, KiB.
    fn held() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("linux");
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("linux");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }

    #[test]
    fn what_a_small_allocation_pins_goes_back() {
        // Each too small to be a mapping of its own; every hundredth stays.
        let mut pieces: Vec<Option<Vec<u8>>> = (0..4_000).map(|_| Some(vec![1; 64 << 10])).collect();
        let full = held();
        for (at, piece) in pieces.iter_mut().enumerate() {
            if at % 100 != 99 {
                *piece = None;
            }
        }
        trim();
        let left = held();
        assert!(full - left.min(full) > 125_000, "{full} KiB before, {left} KiB after");
        assert_eq!(pieces.iter().flatten().map(|piece| piece.len()).sum::<usize>(), 40 * (64 << 10));
    }
}
