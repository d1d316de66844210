//! The law as stories, and the one property that carries the core as random histories.
//!
//! `world` tells events to a correlator and reads back what SQL would see; `stories` has one small story for
//! each sentence of the law; `words` what messages say; `findings` what quality has to say; `histories` tells the same day in other orders; `platforms` tells what
//! platforms send.

mod findings;
mod histories;
mod platforms;
mod stories;
mod words;
mod world;
