"""The version of shardplan, written into every plan."""

VERSION = "0.2.0"
