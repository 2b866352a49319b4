// In the place of a native library, which serves the client's WebSocket trackers alone.
export const RTCPeerConnection = undefined
export const RTCSessionDescription = undefined
export const RTCIceCandidate = undefined
