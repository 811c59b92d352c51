"""From a command's options to a host on a link: the TUN device, its other side, and the recording."""
