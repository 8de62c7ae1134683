//! The log: producer, partition consumer, record codec, embedded broker
