"""The Initial packets' cryptography against the published examples."""

import numpy as np

from benchmarks import quic


def test_aes_example_of_fips_197() -> None:
    block = np.frombuffer(bytes.fromhex("00112233445566778899aabbccddeeff"), np.uint8).reshape(1, 16)
    assert quic.aes128(bytes(range(16)), block).tobytes().hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


def test_gcm_case_4_of_its_authors() -> None:
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = quic.seal(
        bytes.fromhex("feffe9928665731c6d6a8f9467308308"),
        bytes.fromhex("cafebabefacedbaddecaf888"),
        plain,
        bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
    )
    assert sealed.hex() == (
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
        "5bc94fbc3221a5db94fae95ae7121a47"
    )


def test_initial_keys_of_rfc_9001_appendix_a() -> None:
    keys = quic.initial_keys(bytes.fromhex("8394c8f03e515708"), "client")
    assert keys.key.hex() == "1f369613dd76d5467730efcbe3b1a22d"
    assert keys.iv.hex() == "fa044b2f42a3fd3b46fb255c"
    assert keys.header.hex() == "9f50449e04a0e810283a1e9933adedd2"


def test_an_initial_opens_again() -> None:
    """Undo the header protection and the AEAD as a receiver would."""
    keys = quic.initial_keys(b"12345678", "client")
    packet = bytearray(quic.initial(keys, b"12345678", b"", 7, quic.crypto(b"hello"), 1200))
    assert len(packet) == 1200
    at = 1 + 4 + 1 + 8 + 1 + 1 + 2
    mask = quic.aes128(keys.header, np.frombuffer(bytes(packet[at + 4 : at + 20]), np.uint8).reshape(1, 16))[0]
    packet[0] ^= int(mask[0]) & 0x0F
    packet[at] ^= int(mask[1])
    packet[at + 1] ^= int(mask[2])
    assert (packet[0], int.from_bytes(packet[at : at + 2], "big")) == (0xC1, 7)
    assert int.from_bytes(packet[at - 2 : at], "big") & 0x3FFF == len(packet) - at
    nonce = (int.from_bytes(keys.iv, "big") ^ 7).to_bytes(12, "big")
    body = bytes(packet[at + 2 : -16])
    plain = quic.seal(keys.key, nonce, body, bytes(packet[: at + 2]))[:-16]  # counter mode is its own inverse
    assert plain.startswith(quic.crypto(b"hello"))
    assert quic.seal(keys.key, nonce, plain, bytes(packet[: at + 2]))[-16:] == bytes(packet[-16:])
