//! Real NSQ servers, scripted peers and faulty networks for tests.
