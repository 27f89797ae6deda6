"""One vendor per module, without IO. Found by twisted.plugin, listed nowhere."""
