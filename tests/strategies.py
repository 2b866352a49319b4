"""What hypothesis may think up, where several tests want the same."""

from __future__ import annotations

from hypothesis import strategies as st

from ogtorrent.multicast import PORT_BASES, Method, MulticastSession

MULTICAST_SESSIONS = st.builds(
    MulticastSession,
    st.sampled_from(PORT_BASES),
    st.sampled_from(Method),
    st.ip_addresses(v=4, network="224.0.0.0/4"),
    st.integers(1, 999),
    st.integers(1, 1024),
    st.integers(0, 24 * 3600),
)
