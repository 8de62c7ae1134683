//! The ground under every SQL store: pools, migrations, what an error means
