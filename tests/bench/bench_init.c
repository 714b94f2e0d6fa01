/* SPDX-License-Identifier: Apache-2.0 */
/* The bare boot's init: says that it runs, then stops the machine. Appended to the same initramfs that pods boot from. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

int main(void)
{
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	int fd = open("/dev/hvc0", O_WRONLY);
	if (fd < 0)
		fd = open("/dev/console", O_WRONLY);
	(void)!write(fd, "init runs\n", 10);
	for (;;)
		pause();
}
