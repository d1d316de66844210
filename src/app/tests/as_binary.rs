#[test]
fn run() {
    let Ok(arguments) = std::env::var("CALLPULSE_AS_BINARY") else { return };
    #[allow(unsafe_code)]
    unsafe extern "C" {
        fn dup2(from: i32, to: i32) -> i32;
    }
    #[allow(unsafe_code)]
    unsafe {
        dup2(3, 1);
    }
    let arguments: Vec<std::ffi::OsString> =
        std::iter::once("callpulse").chain(arguments.split('\u{1f}')).map(Into::into).collect();
    // SAFETY of environment: read before any thread of ours.
    let code = match crate::app::run(arguments) {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("{failure}");
            i32::from(failure.code)
        }
    };
    std::process::exit(code);
}
